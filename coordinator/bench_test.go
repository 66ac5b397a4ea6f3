package coordinator_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

// BenchmarkRead is a read whose route is cached. It must not allocate.
func BenchmarkRead(b *testing.B) {
	r := setup(b, coordinator.Config{})
	r.repository(b, path)
	ctx, key := b.Context(), key()
	b.ReportAllocs()
	for b.Loop() {
		route, err := r.Read(ctx, key, coordinator.ReadOptions{})
		if err != nil {
			b.Fatal(err)
		}
		route.Done()
	}
}

// BenchmarkWrite is a write from its routing to its end, on metadata in memory.
func BenchmarkWrite(b *testing.B) {
	r := setup(b, coordinator.Config{})
	r.repository(b, path)
	b.ReportAllocs()
	for b.Loop() {
		write := r.write(b, coordinator.WriteOptions{})
		commit(b, write, "a", "b", "c")
		finish(b, write, success(), coordinator.OutcomeRecorded)
	}
}

// TestReadDoesNotAllocate keeps the promise of the benchmark.
//
//nolint:paralleltest // it counts allocations
func TestReadDoesNotAllocate(t *testing.T) {
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	ctx, key := t.Context(), key()
	allocations := testing.AllocsPerRun(1000, func() {
		route, err := r.Read(ctx, key, coordinator.ReadOptions{})
		require.NoError(t, err)
		route.Done()
	})
	require.Zero(t, allocations)
}
