package postgres_test

import (
	"context"
	"errors"
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

// hear has somebody send a payload until the notice is heard that it means.
func hear(
	t *testing.T, dsn, payload string, want coordinator.Notice,
	notices <-chan coordinator.Notice,
) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		connection, err := pgx.Connect(t.Context(), dsn)
		require.NoError(c, err)
		_, err = connection.Exec(t.Context(), "SELECT pg_notify('praefect', $1)", payload)
		require.NoError(c, errors.Join(err, connection.Close(t.Context())))
		for waiting := time.After(50 * time.Millisecond); ; {
			select {
			case notice := <-notices:
				if notice == want {
					return
				}
			case <-waiting:
				require.Fail(c, "it is not heard")
			}
		}
	}, 20*time.Second, 10*time.Millisecond)
}

// TestListenAgain crashes the server under a listener, and ends its connection.
func TestListenAgain(t *testing.T) {
	t.Parallel()
	pgtest.Server(t)
	server, err := pgserver.Start(t.Context(), pgserver.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	config := pgtest.Empty(t)
	config.Host, config.DBName = server.Host(), "postgres"
	notices := listening(t, open(t, config))
	dsn := server.DSN("postgres")
	hear(t, dsn, "free 1", coordinator.Notice{
		Kind: coordinator.NoticeTurnFree, Repository: 1,
	}, notices)
	crash(t, server)
	hear(t, dsn, "left 2", coordinator.Notice{
		Kind: coordinator.NoticeTurnLeft, Repository: 2,
	}, notices)
	execute(t, dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "+
		"WHERE datname = 'postgres' AND pid <> pg_backend_pid()")
	hear(t, dsn, "wanted 3", coordinator.Notice{
		Kind: coordinator.NoticeTurnWanted, Repository: 3,
	}, notices)
	hear(t, dsn, "invalidated", coordinator.Notice{Kind: coordinator.NoticeInvalidated}, notices)
}

// TestForeignNotices are none of the store's.
func TestForeignNotices(t *testing.T) {
	t.Parallel()
	config := pgtest.Migrated(t)
	notices := listening(t, open(t, config))
	dsn := pgtest.Server(t).DSN(config.DBName)
	first := coordinator.Notice{Kind: coordinator.NoticeTurnFree, Repository: 1}
	hear(t, dsn, "free 1", first, notices)
	for _, payload := range []string{"", "free", "free x", "occupied 1", "1", "probe", "wanted 7"} {
		execute(t, dsn, "SELECT pg_notify('praefect', '"+payload+"')")
	}
	for notice := range notices {
		if notice != first {
			require.Equal(t, coordinator.Notice{
				Kind: coordinator.NoticeTurnWanted, Repository: 7,
			}, notice)
			return
		}
	}
}
