package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"praefect/coordinator"
	"praefect/coordinator/metadatatest"
	"praefect/coordinator/postgres"
	"praefect/test/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, config postgres.Config) *postgres.Store {
	t.Helper()
	store, err := postgres.Open(t.Context(), zaptest.NewLogger(t), config)
	require.NoError(t, err)
	t.Cleanup(store.Close)
	return store
}

// Requirements: T161, T166, T167
func TestContract(t *testing.T) {
	t.Parallel()
	metadatatest.Run(t, func(t *testing.T) coordinator.Store {
		t.Helper()
		return open(t, pgtest.Migrated(t))
	})
}

// TestContractBehindPooler has no statement prepared.
func TestContractBehindPooler(t *testing.T) {
	t.Parallel()
	metadatatest.Run(t, func(t *testing.T) coordinator.Store {
		t.Helper()
		return open(t, renumbered(t, pgtest.Migrated(t)))
	})
}
