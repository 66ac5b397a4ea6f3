package world

import (
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain lets one goroutine run at a time, as the command does.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	os.Exit(m.Run())
}

// few are the seeds that are played by tests; the command plays more.
const few = 40

func TestPromisesAreKept(t *testing.T) {
	t.Parallel()
	faults := 0
	for seed := range uint64(few) {
		result := Run(t, Draw(seed+1), false)
		require.False(t, result.Failed(), "make simulate SEEDS=1 SEED=%d", seed+1)
		faults += result.Faults
	}
	require.Positive(t, faults)
}

// TestSeedRunsAlike allows for a few: the runtime chooses at random where a goroutine finds two of
// its channels ready at once.
func TestSeedRunsAlike(t *testing.T) {
	t.Parallel()
	if raced {
		t.Skip("the race detector makes the order of goroutines random; make test runs it without")
	}
	alike := 0
	for seed := range uint64(few) {
		first, second := Run(t, Draw(seed+1), false), Run(t, Draw(seed+1), false)
		if first.Hash == second.Hash {
			alike++
		}
	}
	require.GreaterOrEqual(t, alike, few*9/10)
	require.NotEqual(t, Run(t, Draw(1), false).Hash, Run(t, Draw(2), false).Hash)
}

// TestWithoutLeavesOut shows that only what is needed is left.
func TestWithoutLeavesOut(t *testing.T) {
	t.Parallel()
	again := false
	left := without([]int{1, 2, 3, 4, 5}, &again, func(list []int) bool {
		sum := 0
		for _, number := range list {
			sum += number
		}
		return sum >= 8
	})
	require.True(t, again)
	require.Equal(t, []int{1, 3, 4}, left)
}
