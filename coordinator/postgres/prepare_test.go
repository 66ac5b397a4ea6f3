package postgres_test

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"praefect/coordinator"
	"praefect/coordinator/postgres"
	"praefect/test/pgtest"
)

// renumbered returns how to reach a database through a forwarder that gives connections other
// numbers than the server does, as poolers do.
func renumbered(t testing.TB, config postgres.Config) postgres.Config {
	t.Helper()
	server := net.JoinHostPort(config.Host, config.Port)
	network := "tcp"
	if config.Host[0] == '/' {
		network, server = "unix", config.Host+"/.s.PGSQL."+config.Port
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var forwarding sync.WaitGroup
	forwarding.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			forwarding.Go(func() { forward(t, client, network, server) })
		}
	})
	t.Cleanup(func() {
		assert.NoError(t, listener.Close())
		forwarding.Wait()
	})
	port := listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // it listens on TCP
	config.Host, config.Port = "127.0.0.1", strconv.Itoa(port)
	return config
}

// forward carries one connection until either side ends it.
func forward(t testing.TB, client net.Conn, network, address string) {
	t.Helper()
	defer client.Close() //nolint:errcheck // It is over.
	var dialer net.Dialer
	server, err := dialer.DialContext(t.Context(), network, address)
	if err != nil {
		return
	}
	defer server.Close() //nolint:errcheck // It is over.
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	defer up.Wait()
	defer client.Close() //nolint:errcheck // So that the other direction ends.
	if err := greet(client, server); err == nil {
		_, _ = io.Copy(client, server)
	}
}

// greet passes on what a server says until it is ready, with another key (message K, PostgreSQL
// protocol 3.0: the number of the process, then a secret).
func greet(client io.Writer, server io.Reader) error {
	const key, ready, headLength = 'K', 'Z', 5
	for {
		message := make([]byte, headLength)
		if _, err := io.ReadFull(server, message); err != nil {
			return err
		}
		kind := message[0]
		// The length counts itself and not the kind.
		message = slices.Grow(message, int(binary.BigEndian.Uint32(message[1:])))
		message = message[:1+binary.BigEndian.Uint32(message[1:])]
		if _, err := io.ReadFull(server, message[headLength:]); err != nil {
			return err
		}
		if kind == key {
			message[headLength] ^= 1
		}
		if _, err := client.Write(message); err != nil {
			return err
		}
		if kind == ready {
			return nil
		}
	}
}

// TestStatementsArePrepared where connections lead to the server itself, from the first on.
func TestStatementsArePrepared(t *testing.T) {
	t.Parallel()
	direct := pgtest.Migrated(t)
	for name, tc := range map[string]struct {
		config postgres.Config
		want   pgx.QueryExecMode
	}{
		"direct": {direct, pgx.QueryExecModeCacheStatement},
		"pooler": {renumbered(t, direct), pgx.QueryExecModeExec},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			statements := &tracer{}
			tc.config.Tracer = statements
			store := open(t, tc.config)
			for range 3 {
				require.NoError(t, store.Ping(t.Context()))
				require.Equal(t, tc.want, statements.connection().Config().DefaultQueryExecMode)
			}
		})
	}
}

// TestPreparedStatementsAreForgotten has a server forget what was prepared, as one behind a pooler
// that was not recognized: nothing fails, and nothing is prepared any more.
func TestPreparedStatementsAreForgotten(t *testing.T) {
	t.Parallel()
	config, statements := pgtest.Migrated(t), &tracer{}
	config.Tracer = statements
	core, logs := observer.New(zap.WarnLevel)
	store, err := postgres.Open(t.Context(), zap.New(core), config)
	require.NoError(t, err)
	t.Cleanup(store.Close)
	load := func() {
		_, err := store.Load(t.Context(), 1)
		require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
	}
	load()
	_, err = statements.connection().PgConn().Exec(t.Context(), "DEALLOCATE ALL").ReadAll()
	require.NoError(t, err)
	for range 3 {
		load()
		require.Equal(t, pgx.QueryExecModeExec,
			statements.connection().Config().DefaultQueryExecMode)
	}
	require.Equal(t, 1, logs.FilterMessageSnippet("not prepared any more").Len())
}

// TestPreparedStatementsOutliveMigrations has a table changed under a statement that was prepared.
func TestPreparedStatementsOutliveMigrations(t *testing.T) {
	t.Parallel()
	config := pgtest.Migrated(t)
	store := open(t, config)
	db, err := config.OpenDB()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	from := creation("a.git")
	enlist(t, store)
	require.NoError(t, store.Create(t.Context(), from))
	for _, change := range []string{
		"ALTER TABLE praefect.repositories ADD COLUMN added bigint",
		"ALTER TABLE praefect.repositories ALTER COLUMN relative_path TYPE varchar",
		"ALTER TABLE praefect.repositories DROP COLUMN added",
	} {
		_, err := store.Load(t.Context(), from.ID)
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), change)
		require.NoError(t, err)
	}
	_, err = store.Load(t.Context(), from.ID)
	require.NoError(t, err)
}
