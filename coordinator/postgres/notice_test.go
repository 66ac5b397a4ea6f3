package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/coordinator/postgres"
	"praefect/coordinator/postgres/pgserver"
	"praefect/test/pgtest"
)

// listening listens until the test ends; what is heard arrives in the channel.
func listening(t *testing.T, store *postgres.Store) <-chan coordinator.Notice {
	t.Helper()
	notices := make(chan coordinator.Notice, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- store.Listen(ctx, func(notice coordinator.Notice) { notices <- notice })
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return notices
}

// tell sends a payload until it is heard, or something else is.
func tell(
	t *testing.T, dsn, payload string, notices <-chan coordinator.Notice,
) coordinator.Notice {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, connection.Close(t.Context())) }()
	var heard coordinator.Notice
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := connection.Exec(t.Context(), "SELECT pg_notify('praefect', $1)", payload)
		require.NoError(c, err)
		select {
		case heard = <-notices:
		case <-time.After(10 * time.Millisecond):
			require.Fail(c, "nothing is heard")
		}
	}, 20*time.Second, 10*time.Millisecond)
	return heard
}

// TestListenAfterRestart stops the server under a listener, and ends its connection.
func TestListenAfterRestart(t *testing.T) {
	t.Parallel()
	pgtest.Server(t)
	server, err := pgserver.Start(t.Context(), pgserver.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Stop()) }()
	config := pgtest.Empty(t)
	config.Host, config.DBName = server.Host(), "postgres"
	notices := listening(t, open(t, config))
	dsn := server.DSN("postgres")
	for i, payload := range []string{"free 1", "left 2", "wanted 3", "invalidated"} {
		heard := tell(t, dsn, payload, notices)
		for heard.Repository < coordinator.RepositoryID(i) && i < 3 {
			heard = <-notices
		}
		switch i {
		case 0:
			require.Equal(t, coordinator.Notice{
				Kind: coordinator.NoticeTurnFree, Repository: 1,
			}, heard)
			require.NoError(t, server.Halt(pgserver.Immediate))
			require.NoError(t, server.Resume(t.Context()))
		case 1:
			execute(t, dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "+
				"WHERE datname = 'postgres' AND pid <> pg_backend_pid()")
		}
	}
}

// TestForeignNotices are none of the store's.
func TestForeignNotices(t *testing.T) {
	t.Parallel()
	config := pgtest.Migrated(t)
	notices := listening(t, open(t, config))
	dsn := pgtest.Server(t).DSN(config.DBName)
	tell(t, dsn, "free 1", notices)
	for _, payload := range []string{"", "free", "free x", "occupied 1", "1", "probe", "wanted 7"} {
		execute(t, dsn, "SELECT pg_notify('praefect', '"+payload+"')")
	}
	for notice := range notices {
		if notice.Repository != 1 {
			require.Equal(t, coordinator.Notice{
				Kind: coordinator.NoticeTurnWanted, Repository: 7,
			}, notice)
			return
		}
	}
}
