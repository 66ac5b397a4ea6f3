package membership_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"

	"praefect/coordinator/postgres"
	"praefect/test/pgtest"
)

func TestPairOnPostgres(t *testing.T) {
	t.Parallel()
	store, err := postgres.Open(t.Context(), zaptest.NewLogger(t), pgtest.Migrated(t))
	require.NoError(t, err)
	t.Cleanup(store.Close)
	exchange(t, store)
}
