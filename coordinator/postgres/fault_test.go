package postgres_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sync/errgroup"

	"praefect/coordinator"
	"praefect/coordinator/postgres"
	"praefect/coordinator/postgres/pgserver"
	"praefect/migrations"
	"praefect/test/pgtest"
)

// tracer counts statements and remembers a connection.
type tracer struct {
	mu         sync.Mutex // guards the fields below
	statements int
	last       *pgx.Conn
}

func (t *tracer) TraceQueryStart(
	ctx context.Context, connection *pgx.Conn, _ pgx.TraceQueryStartData,
) context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.statements++
	t.last = connection
	return ctx
}

// TraceBatchStart counts a batch as one: it is one round trip.
func (t *tracer) TraceBatchStart(
	ctx context.Context, connection *pgx.Conn, _ pgx.TraceBatchStartData,
) context.Context {
	return t.TraceQueryStart(ctx, connection, pgx.TraceQueryStartData{})
}

func (t *tracer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (t *tracer) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (t *tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// count is the number of statements since the last time it was asked.
func (t *tracer) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	count := t.statements
	t.statements = 0
	return count
}

func (t *tracer) connection() *pgx.Conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// self is the proxy of all tests.
const self = coordinator.Incarnation(1)

// enlist lets the proxy live as long as a test.
func enlist(t testing.TB, store coordinator.Members) {
	t.Helper()
	_, err := store.Enlist(t.Context(), coordinator.Enlistment{
		Incarnation: self, Name: "self", TTL: time.Hour,
	})
	require.NoError(t, err)
}

func creation(path string) coordinator.Creation {
	storages := []coordinator.Storage{"a", "b", "c"}
	id := coordinator.RepositoryID(len(path) + 1)
	return coordinator.Creation{
		ID: id, Key: coordinator.Key{VirtualStorage: "default", RelativePath: path},
		ReplicaPath: coordinator.ReplicaPath(id, path), Primary: "a",
		Participants: storages, Assigned: storages, Incarnation: self,
	}
}

// execute runs something on a database beside the store.
func execute(t *testing.T, dsn, statement string) {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	_, err = connection.Exec(t.Context(), statement)
	require.NoError(t, err)
	require.NoError(t, connection.Close(t.Context()))
}

// TestConnectionsEnd has all connections of the pool ended by the server, as by a restart: reads
// go on.
func TestConnectionsEnd(t *testing.T) {
	t.Parallel()
	config := pgtest.Migrated(t)
	store := open(t, config)
	enlist(t, store)
	require.NoError(t, store.Create(t.Context(), creation("a.git")))
	for range 3 {
		execute(t, pgtest.Server(t).DSN("postgres"),
			"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+
				config.DBName+"'")
		_, err := store.Load(t.Context(), creation("a.git").ID)
		require.NoError(t, err)
	}
}

// TestIdleConnectionsEnd has the server end connections that nobody uses for a moment, as its
// administrator may have it do: whatever is done twice without harm goes on.
func TestIdleConnectionsEnd(t *testing.T) {
	t.Parallel()
	config := pgtest.Migrated(t)
	watch := connect(t, pgtest.Server(t).DSN("postgres"))
	execute(t, pgtest.Server(t).DSN("postgres"),
		"ALTER DATABASE "+config.DBName+" SET idle_session_timeout = '500ms'")
	store := open(t, config)
	enlist(t, store)
	for range 2 {
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			var left int
			require.NoError(c, watch.QueryRow(t.Context(),
				"SELECT count(*) FROM pg_stat_activity WHERE datname = $1",
				config.DBName).Scan(&left))
			require.Zero(c, left)
		}, 10*time.Second, 10*time.Millisecond)
		_, err := store.Renew(t.Context(), coordinator.Renewal{Incarnation: self, TTL: time.Hour})
		require.NoError(t, err)
	}
}

// TestLockTimeout has a row that somebody holds longer than the administrator lets anybody wait.
func TestLockTimeout(t *testing.T) {
	t.Parallel()
	config := pgtest.Migrated(t)
	dsn := pgtest.Server(t).DSN("postgres")
	execute(t, dsn, "ALTER DATABASE "+config.DBName+" SET lock_timeout = '20ms'")
	store := open(t, config)
	enlist(t, store)
	require.NoError(t, store.Create(t.Context(), creation("a.git")))
	held, err := connect(t, pgtest.Server(t).DSN(config.DBName)).Begin(t.Context())
	require.NoError(t, err)
	_, err = held.Exec(t.Context(), "SELECT FROM praefect.repositories FOR UPDATE")
	require.NoError(t, err)
	require.ErrorIs(t, store.Complete(t.Context(), creation("a.git").ID),
		coordinator.ErrMetadataUnavailable)
	require.NoError(t, held.Rollback(t.Context()))
	require.NoError(t, store.Complete(t.Context(), creation("a.git").ID))
}

// TestServerCrashes has a server that comes back: what may be done twice does not fail for the
// connections that broke.
func TestServerCrashes(t *testing.T) {
	t.Parallel()
	pgtest.Server(t)
	server, err := pgserver.Start(t.Context(), pgserver.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	config := pgtest.Empty(t)
	config.Host, config.DBName = server.Host(), "postgres"
	migrate(t, config)
	store := open(t, config)
	enlist(t, store)
	from := creation("a.git")
	require.NoError(t, store.Create(t.Context(), from))
	require.NoError(t, store.Complete(t.Context(), from.ID))

	for write := coordinator.WriteID(1); write <= 3; write++ {
		var many errgroup.Group
		for range 10 {
			many.Go(func() error { _, err := store.Load(t.Context(), from.ID); return err })
		}
		require.NoError(t, many.Wait(), "there are many connections now")
		crash(t, server)
		base, err := store.OpenTurn(t.Context(), coordinator.Intent{
			Write: write, Repository: from.ID, Incarnation: self, Kind: "references",
		})
		require.NoError(t, err)
		_, err = store.Record(t.Context(), coordinator.WriteOutcome{
			Repository: from.ID, Write: write, Epoch: base.Epoch, Base: base.Generation,
			Raise: from.Assigned,
		})
		require.NoError(t, err)
	}
}

// crash stops a server at once and starts it again.
func crash(t *testing.T, server *pgserver.Server) {
	t.Helper()
	require.NoError(t, server.Halt(pgserver.Immediate))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		connection, err := pgx.Connect(t.Context(), server.DSN("postgres"))
		if err == nil {
			err = connection.Close(t.Context())
			require.Fail(c, "it takes connections still", "%v", err)
		}
	}, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, server.Resume(t.Context()))
}

func migrate(t *testing.T, config postgres.Config) {
	t.Helper()
	db, err := config.OpenDB()
	require.NoError(t, err)
	migrator, err := migrations.New(db)
	require.NoError(t, err)
	require.NoError(t, migrator.Up(t.Context(), func(migrations.Step) {}))
	require.NoError(t, db.Close())
}

// TestReadOnly has a server that turns read-only, as the old primary of a failover does, and back.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	config := pgtest.Migrated(t)
	core, logs := observer.New(zapcore.InfoLevel)
	store, err := postgres.Open(t.Context(), zap.New(core), config)
	require.NoError(t, err)
	t.Cleanup(store.Close)
	enlist(t, store)
	require.NoError(t, store.Create(t.Context(), creation("a.git")))
	dsn := pgtest.Server(t).DSN("postgres")
	execute(t, dsn, "ALTER DATABASE "+config.DBName+" SET default_transaction_read_only = on")
	execute(t, dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+
		config.DBName+"'")
	for range 3 {
		require.ErrorIs(t, store.Create(t.Context(), creation("ab.git")),
			coordinator.ErrMetadataUnavailable)
	}
	execute(t, dsn, "ALTER DATABASE "+config.DBName+" RESET default_transaction_read_only")
	require.NoError(t, store.Create(t.Context(), creation("ab.git")), "without a restart")
	var told []string
	for _, entry := range logs.All() {
		told = append(told, entry.Message)
	}
	require.Equal(t, []string{
		"connections to the database are given up", "database answers again",
	}, told, "an outage is told once")
}

// TestServerAway stops the server.
func TestServerAway(t *testing.T) {
	t.Parallel()
	pgtest.Server(t)
	server, err := pgserver.Start(t.Context(), pgserver.Config{})
	require.NoError(t, err)
	config := pgtest.Empty(t)
	config.Host, config.DBName = server.Host(), "postgres"
	store := open(t, config)
	require.NoError(t, store.Ping(t.Context()))
	require.NoError(t, server.Stop())
	for range 3 {
		_, err = store.Load(t.Context(), 1)
		require.ErrorIs(t, err, coordinator.ErrMetadataUnavailable)
	}
	require.ErrorIs(t, store.Create(t.Context(), creation("a.git")),
		coordinator.ErrMetadataUnavailable)
}

// TestStatementTimeout has a row that somebody holds.
func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	config := pgtest.Migrated(t)
	store := open(t, config)
	config.StatementTimeout = 200 * time.Millisecond
	impatient := open(t, config)
	id := creation("a.git").ID
	enlist(t, store)
	require.NoError(t, store.Create(t.Context(), creation("a.git")))

	connection, err := pgx.Connect(t.Context(), pgtest.Server(t).DSN(config.DBName))
	require.NoError(t, err)
	held, err := connection.Begin(t.Context())
	require.NoError(t, err)
	_, err = held.Exec(t.Context(), "SELECT FROM praefect.repositories FOR UPDATE")
	require.NoError(t, err)
	require.ErrorIs(t, impatient.Complete(t.Context(), id), coordinator.ErrMetadataUnavailable)
	require.NoError(t, held.Rollback(t.Context()))
	require.NoError(t, connection.Close(t.Context()))
	require.NoError(t, store.Complete(t.Context(), id))
}

// TestNotMigrated is no outage: waiting does not help.
func TestNotMigrated(t *testing.T) {
	t.Parallel()
	store := open(t, pgtest.Empty(t))
	_, err := store.Load(t.Context(), 1)
	require.ErrorContains(t, err, "SQLSTATE 42P01")
	require.NotErrorIs(t, err, coordinator.ErrMetadataUnavailable)
}
