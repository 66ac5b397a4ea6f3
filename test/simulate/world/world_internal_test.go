package world

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/coordinator/memory"
	"praefect/test/chaos/history"
	"praefect/test/model/abstract"
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
	faults, events := 0, map[abstract.Kind]int{}
	for seed := range uint64(few) {
		result := Run(t, Draw(seed+1), false)
		require.False(t, result.Failed(), "make simulate SEEDS=1 SEED=%d", seed+1)
		faults += result.Faults
		for kind, count := range result.Events {
			events[kind] += count
		}
	}
	require.Positive(t, faults)
	// Whatever the model follows, and is not rare, has been compared with it.
	for _, kind := range []abstract.Kind{
		abstract.Enlisted, abstract.Ended, abstract.Opened, abstract.Unvoted, abstract.Told,
		abstract.Applied, abstract.Recorded, abstract.Closed, abstract.Adopted, abstract.Resolved,
		abstract.Claimed, abstract.Repaired, abstract.Answered,
	} {
		require.Positive(t, events[kind], kind)
	}
}

// TestFormerFailures plays seeds that have found a defect.
func TestFormerFailures(t *testing.T) {
	t.Parallel()
	for seed, defect := range map[uint64]string{
		96012:  "a process that stopped asked the store without a pause until its lease was over",
		208594: "a read joined a load that had begun before a creation was answered",
	} {
		require.False(t, Run(t, Draw(seed), false).Failed(), defect)
	}
}

// TestNoVerdictIsAFailure gives the checker a puzzle and no time.
func TestNoVerdictIsAFailure(t *testing.T) {
	t.Parallel()
	var all []history.Operation
	add := func(action history.Action, value string, start, end time.Duration) {
		all = append(all, history.Operation{
			Key: history.Key{Repository: "a", Name: "b"}, Action: action, Value: value,
			Result: history.Acknowledged, Primary: action == history.Read, Start: start, End: end,
		})
	}
	for i := range 300 {
		value := string(rune('A' + i))
		add(history.Write, value, 0, 100*time.Second)
		add(history.Read, value, 0, 100*time.Second)
	}
	for i, value := range []string{"A", "B", "A"} {
		start := time.Duration(10+2*i) * time.Second
		add(history.Read, value, start, start+time.Second)
	}
	var result Result
	result.judge(all, history.Config{Patience: time.Millisecond})
	require.True(t, result.Failed())
	require.Equal(t, []string{"a b: no order found in time"}, result.Stuck)
}

// TestDriftIsNoticed has a write recorded that no node has made.
func TestDriftIsNoticed(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store := newFollowed(memory.New(), []coordinator.Storage{"a", "b"})
	creation := coordinator.Creation{
		ID: 1, Key: key(0), Incarnation: 5, ReplicaPath: "@hashed/1", Primary: "a",
		Participants: store.storages, Assigned: store.storages,
	}
	_, err := store.Enlist(ctx, coordinator.Enlistment{Incarnation: 5, TTL: time.Minute})
	require.NoError(t, err)
	require.NoError(t, store.Create(ctx, creation))
	require.NoError(t, store.Complete(ctx, 1))
	require.NoError(t, store.begin(ctx, 1))
	_, err = store.Enlist(ctx, coordinator.Enlistment{Incarnation: 6, TTL: time.Minute})
	require.NoError(t, err)
	opened, err := store.OpenTurn(ctx, coordinator.Intent{
		Write: 9, Repository: 1, Incarnation: 6, Participants: store.storages,
	})
	require.NoError(t, err)
	require.Empty(t, store.drift())
	_, err = store.Record(ctx, coordinator.WriteOutcome{
		Repository: 1, Write: 9, Epoch: opened.Epoch, Base: opened.Generation,
		Raise: store.storages,
	})
	require.NoError(t, err)
	require.Len(t, store.drift(), 1)
	require.Contains(t, store.drift()[0], "nobody saw it applied")
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
