package coordinator_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

// TestReadPrefersNear reads from the own zone as long as that can be read, and never fails because
// it cannot.
func TestReadPrefersNear(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{}, func(config *coordinator.VirtualStorageConfig) {
		config.Near = []coordinator.Storage{"b", "c", "unknown"}
	})
	r.repository(t, path)
	require.Equal(t, storages{"b": true, "c": true}, r.readers(t))
	r.health.set("b")
	require.Equal(t, storages{"c": true}, r.readers(t))
	r.health.set("b", "c")
	require.Equal(t, storages{"a": true}, r.readers(t))
	r.health.set()
	require.Equal(t, storages{"b": true, "c": true}, r.readers(t))
}
