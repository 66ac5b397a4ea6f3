package membership_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/coordinator/membership"
	"praefect/coordinator/memory"
)

// changed is a repository whose primary goes to and fro.
const changed coordinator.RepositoryID = 1

// shortLease is longer than a busy machine takes for a statement.
const shortLease = 3 * time.Second

func TestPairInMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { exchange(t, memory.New()) })
}

// exchange has two proxies on one store tell each other what they change. Then one freezes: the
// other waits for it until its lease has run out and goes on without it, and the frozen one begins
// anew.
func exchange(t *testing.T, store coordinator.Store) {
	t.Helper()
	var pair []*rig
	for _, name := range []string{"one", "other"} {
		r := prepareOn(t, store, membership.Config{
			Name: name, Lease: shortLease, Margin: shortLease / 4,
		})
		r.run()
		<-r.Enlisted()
		pair = append(pair, r)
	}
	one, other := pair[0], pair[1]
	create(t, store, one.holding())
	for i := range 10 {
		from, to := pair[i%2], pair[(i+1)%2]
		to.saw()
		require.NoError(t, from.AwaitAcknowledged(t.Context(), elect(t, store, from.holding())))
		require.Contains(t, to.saw(), "changed.git", "applied before it is acknowledged")
	}
	agree(t, one, other)

	frozen, block := other.holding(), make(chan struct{})
	other.set(func() { other.block = block })
	begin := time.Now()
	awaited := elect(t, store, one.holding())
	require.NoError(t, one.AwaitAcknowledged(t.Context(), awaited))
	require.Greater(t, time.Since(begin), shortLease)
	other.notHolding()
	other.set(func() { other.block = nil; other.events = nil })
	close(block)
	require.Eventually(t, func() bool {
		incarnation, holds := other.Incarnation()
		return holds && incarnation != frozen
	}, 10*time.Second, 10*time.Millisecond)
	require.Contains(t, other.saw(), "forget")
	require.NoError(t, one.AwaitAcknowledged(t.Context(), awaited))

	other.stop()
	begin = time.Now()
	require.NoError(t, one.AwaitAcknowledged(t.Context(), elect(t, store, one.holding())))
	require.Less(t, time.Since(begin), shortLease, "who has resigned is not waited for")
	one.stop()
	require.Empty(t, one.reasons())
	require.Equal(t, []string{"it was not renewed in time"}, other.reasons())
}

// agree has the pair find a storage healthy as long as one of them does.
func agree(t *testing.T, one, other *rig) {
	t.Helper()
	other.set(func() { other.sick["a"] = true })
	require.Never(t, func() bool {
		return !one.Healthy(virtual, "a") || !other.Healthy(virtual, "a")
	}, 2*shortLease/10, 10*time.Millisecond)
	one.set(func() { one.sick["a"] = true })
	require.Eventually(t, func() bool {
		return !one.Healthy(virtual, "a") && !other.Healthy(virtual, "a")
	}, 10*time.Second, 10*time.Millisecond)
	require.True(t, one.Healthy(virtual, "b"))
}

func create(t *testing.T, store coordinator.Store, by coordinator.Incarnation) {
	t.Helper()
	storages := []coordinator.Storage{"a", "b"}
	require.NoError(t, store.Create(t.Context(), coordinator.Creation{
		ID: changed, Key: coordinator.Key{VirtualStorage: virtual, RelativePath: "changed.git"},
		ReplicaPath: "@cluster/changed", Primary: "a",
		Participants: storages, Assigned: storages, Incarnation: by,
	}))
	require.NoError(t, store.Complete(t.Context(), changed))
}

// elect makes the other storage the primary and returns the invalidation of that.
func elect(
	t *testing.T, store coordinator.Store, by coordinator.Incarnation,
) coordinator.Sequence {
	t.Helper()
	write := coordinator.WriteID(time.Now().UnixNano())
	before, err := store.OpenTurn(t.Context(), coordinator.Intent{
		Write: write, Repository: changed, Incarnation: by, Kind: "hold",
	})
	require.NoError(t, err)
	candidate := slices.IndexFunc(before.Replicas, func(replica coordinator.Replica) bool {
		return replica.Storage != before.Primary
	})
	after, err := store.Elect(t.Context(), coordinator.Election{
		Repository: changed, Write: write, Epoch: before.Epoch,
		Candidate: before.Replicas[candidate].Storage,
	})
	require.NoError(t, err)
	require.Greater(t, after.Invalidated, before.Invalidated)
	return after.Invalidated
}
