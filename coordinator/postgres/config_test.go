package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"

	"praefect/coordinator"
	"praefect/coordinator/postgres"
	"praefect/test/pgtest"
)

// TestPing connects with names and passwords that need quoting.
//
// Requirements: T032
func TestPing(t *testing.T) {
	t.Parallel()
	for name, odd := range map[string]string{
		"plain": "plain", "blank": "a b", "quote": "it's", "backslash": `a\b`, "all": `' \ =' x`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := pgtest.Empty(t)
			server := pgtest.Server(t)
			require.NoError(t, server.Create(t.Context(), odd+name, config.DBName))
			defer func() { require.NoError(t, server.Drop(t.Context(), odd+name)) }()
			config.DBName, config.Password = odd+name, odd
			store := open(t, config)
			require.NoError(t, store.Ping(t.Context()))
			store.Close()
		})
	}
}

// TestSeveralHosts has one host where nothing listens, and a second one that serves.
func TestSeveralHosts(t *testing.T) {
	t.Parallel()
	config := pgtest.Migrated(t)
	config.Host = t.TempDir() + "," + config.Host
	config.Port += "," + config.Port
	require.NoError(t, open(t, config).Ping(t.Context()))
}

// TestAddresses names each host once, however often it is tried.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		config    postgres.Config
		addresses []string
	}{
		"one": {postgres.Config{Host: "db", Port: "5433"}, []string{"db:5433"}},
		"several": {
			postgres.Config{Host: "::1,10.0.0.2", Port: "5432,6432", SSLMode: "prefer"},
			[]string{"[::1]:5432", "10.0.0.2:6432"},
		},
		"socket": {
			postgres.Config{Host: "/run/postgresql", Port: "5432"},
			[]string{"/run/postgresql:5432"},
		},
	} {
		addresses, err := tc.config.Addresses()
		require.NoError(t, err, name)
		require.Equal(t, tc.addresses, addresses, name)
	}
	_, err := postgres.Config{Port: "many"}.Addresses()
	require.ErrorIs(t, err, postgres.ErrInvalidConfig)
}

func TestRefused(t *testing.T) {
	t.Parallel()
	config := pgtest.Empty(t)
	config.Host = t.TempDir()
	store := open(t, config)
	require.ErrorContains(t, store.Ping(t.Context()), "send ping: failed to connect")
	_, err := store.Load(t.Context(), 1)
	require.ErrorIs(t, err, coordinator.ErrMetadataUnavailable)

	config = pgtest.Empty(t)
	config.DBName = "unknown"
	require.ErrorContains(t, open(t, config).Ping(t.Context()), "SQLSTATE 3D000")
}

func TestInvalidConfig(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]postgres.Config{
		"port":     {Port: "many"},
		"ssl mode": {Host: "localhost", SSLMode: "perhaps"},
		"no file":  {Host: "localhost", SSLMode: "verify-full", SSLRootCert: "/nowhere"},
	} {
		_, err := postgres.Open(t.Context(), zaptest.NewLogger(t), config)
		require.ErrorIs(t, err, postgres.ErrInvalidConfig, name)
		_, err = config.OpenDB()
		require.ErrorIs(t, err, postgres.ErrInvalidConfig, name)
	}
}

// TestNothingIsPrepared looks at what connections by way of a pooler leave behind in the server: no
// prepared statements and no changed settings.
func TestNothingIsPrepared(t *testing.T) {
	t.Parallel()
	config := renumbered(t, pgtest.Migrated(t))
	config.MaxConnections = 1
	tracer := &tracer{}
	config.Tracer = tracer
	store := open(t, config)
	for range 5 {
		_, err := store.Load(t.Context(), 1)
		require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
	}
	connection := tracer.connection()
	require.NotNil(t, connection)
	for _, query := range []string{
		"SELECT count(*) FROM pg_prepared_statements",
		"SELECT count(*) FROM pg_settings WHERE source = 'session'",
	} {
		var count int
		require.NoError(t, connection.QueryRow(t.Context(), query).Scan(&count))
		require.Zero(t, count, query)
	}
	require.Equal(t, pgx.QueryExecModeExec, connection.Config().DefaultQueryExecMode)
}
