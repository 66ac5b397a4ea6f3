package postgres_test

import (
	"net"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"praefect/coordinator/postgres"
	"praefect/test/pgtest"
)

// Types of what the old server answers.
const (
	int4OID = 23
	textOID = 25
)

// oldServer answers every question with a version, as a server would.
func oldServer(t *testing.T, version string) postgres.Config {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serveVersion(conn, version)
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		<-ended
	})
	host, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return postgres.Config{Host: host, Port: port, User: "u", DBName: "d", SSLMode: "disable"}
}

// serveVersion serves one connection to its end.
func serveVersion(conn net.Conn, version string) {
	defer conn.Close() //nolint:errcheck // the client goes first
	backend := pgproto3.NewBackend(conn, conn)
	if _, err := backend.ReceiveStartupMessage(); err != nil {
		return
	}
	ready := &pgproto3.ReadyForQuery{TxStatus: 'I'}
	backend.Send(&pgproto3.AuthenticationOk{})
	backend.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	backend.Send(ready)
	for backend.Flush() == nil {
		message, err := backend.Receive()
		if err != nil {
			return
		}
		switch message.(type) {
		case *pgproto3.Query: // Whether it takes writes.
			backend.Send(column(textOID))
			answer(backend, "off")
			backend.Send(ready)
		case *pgproto3.Parse:
			backend.Send(&pgproto3.ParseComplete{})
		case *pgproto3.Bind:
			backend.Send(&pgproto3.BindComplete{})
		case *pgproto3.Describe:
			backend.Send(column(int4OID))
		case *pgproto3.Execute:
			answer(backend, version)
		case *pgproto3.Sync:
			backend.Send(ready)
		}
	}
}

// answer sends a result of one row.
func answer(backend *pgproto3.Backend, value string) {
	backend.Send(&pgproto3.DataRow{Values: [][]byte{[]byte(value)}})
	backend.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
}

func column(kind uint32) *pgproto3.RowDescription {
	return &pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{
		Name: []byte("value"), DataTypeOID: kind, DataTypeSize: -1, Format: pgproto3.TextFormat,
	}}}
}

// TestT033OldServers refuses servers before version 11 and says which version they have.
func TestT033OldServers(t *testing.T) {
	t.Parallel()
	for version, refused := range map[string]bool{
		"90600": true, "100023": true, "110000": false, "150000": false,
	} {
		store := open(t, oldServer(t, version))
		err := store.Ping(t.Context())
		if !refused {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, postgres.ErrServerTooOld)
		require.ErrorContains(t, err, "postgres server version too old: "+version)
	}
	require.NoError(t, open(t, pgtest.Empty(t)).Ping(t.Context()), "a real one")
}

// TestT015SmallFootprint fills in a hundred thousand repositories with three replicas each.
func TestT015SmallFootprint(t *testing.T) {
	t.Parallel()
	const limit = 200 << 20
	config := pgtest.Migrated(t)
	dsn := pgtest.Server(t).DSN(config.DBName)
	execute(t, dsn, `INSERT INTO praefect.repositories
		(id, virtual_storage, relative_path, replica_path, state, generation, primary_storage)
		SELECT n, 'default',
		       '@hashed/' || substr(md5(n::text), 1, 2) || '/' || md5(n::text) || '.git',
		       '@cluster/repositories/aa/bb/' || n, 'ready', 7, 'gitaly-1'
		FROM generate_series(1, 100000) AS n`)
	execute(t, dsn, `INSERT INTO praefect.replicas
		(repository_id, virtual_storage, storage, generation, assigned)
		SELECT n, 'default', 'gitaly-' || s, 7, true
		FROM generate_series(1, 100000) AS n, generate_series(1, 3) AS s`)
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	var size int64
	require.NoError(t, conn.QueryRow(t.Context(),
		"SELECT pg_database_size(current_database())").Scan(&size))
	require.NoError(t, conn.Close(t.Context()))
	t.Logf("%d MiB", size>>20)
	require.Less(t, size, int64(limit))
}
