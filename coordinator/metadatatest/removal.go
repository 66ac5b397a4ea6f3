package metadatatest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

func removalTests() map[string]func(*testing.T, coordinator.Store) {
	return map[string]func(*testing.T, coordinator.Store){
		"delete":                    testDelete,
		"delete needs the turn":     testDeleteNeedsTurn,
		"removals":                  testRemovals,
		"removal waits for repair":  testRemovalWaits,
		"removal ends repair":       testRemovalEndsRepair,
		"removal is kept":           testRemovalKept,
		"removal is put off":        testRemovalPutOff,
		"removal waits for settled": testRemovalSettles,
	}
}

func testDelete(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	held := hold(t, store, repository.ID)
	deletion := coordinator.Deletion{Repository: repository.ID, Write: held.Write, Grace: long}
	deleted, err := store.Delete(t.Context(), deletion)
	require.NoError(t, err)
	require.Equal(t, coordinator.StateDeleting, deleted.State)
	require.Len(t, deleted.Replicas, 3)
	require.False(t, deleted.TurnHeld)
	require.Positive(t, deleted.Invalidated)

	_, err = store.Lookup(t.Context(), repository.Key)
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
	_, err = store.Delete(t.Context(), deletion)
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
	made := outcome(repository, all()...)
	made.Write = held.Write
	_, err = store.Record(t.Context(), made)
	require.ErrorIs(t, err, coordinator.ErrSuperseded)
	_, err = store.Elect(t.Context(), coordinator.Election{
		Repository: repository.ID, Write: held.Write, Epoch: 1, Candidate: second,
	})
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
	_, err = store.OpenTurn(t.Context(), intent(repository.ID))
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)

	require.NoError(t, store.Removed(t.Context(), repository.ID,
		[]coordinator.Storage{first, second}))
	require.Len(t, load(t, store, repository.ID).Replicas, 1)
	require.NoError(t, store.Removed(t.Context(), repository.ID, []coordinator.Storage{third}))
	_, err = store.Load(t.Context(), repository.ID)
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
	require.NoError(t, store.Removed(t.Context(), repository.ID, all()), "removing twice is fine")
}

func testDeleteNeedsTurn(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	refused := func(write coordinator.WriteID, reason string) {
		_, err := store.Delete(t.Context(), coordinator.Deletion{
			Repository: repository.ID, Write: write,
		})
		require.ErrorIs(t, err, coordinator.ErrSuperseded, reason)
	}
	refused(0, "nobody holds it")
	held := hold(t, store, repository.ID)
	refused(0, "somebody holds it")
	refused(newWrite(), "somebody else holds it")
	require.NoError(t, store.MarkTurn(t.Context(), repository.ID, held.Write, nil))
	refused(held.Write, "it is left to recovery")
	require.Equal(t, coordinator.StateReady, load(t, store, repository.ID).State)

	creating := creation("creating.git")
	require.NoError(t, store.Create(t.Context(), creating))
	_, err := store.Delete(t.Context(), coordinator.Deletion{
		Repository: creating.ID, Write: newWrite(),
	})
	require.ErrorIs(t, err, coordinator.ErrSuperseded)
	_, err = store.Delete(t.Context(), coordinator.Deletion{Repository: creating.ID})
	require.NoError(t, err)
}

func claimRemovals(
	t *testing.T, store coordinator.Store, request coordinator.RemovalRequest,
) []coordinator.Repository {
	t.Helper()
	removals, err := store.ClaimRemovals(t.Context(), request)
	require.NoError(t, err)
	return removals
}

func testRemovals(t *testing.T, store coordinator.Store) {
	t.Helper()
	for i := range 3 {
		remove(t, store, ready(t, store, fmt.Sprintf("%d.git", i)).ID)
	}
	later := ready(t, store, "later.git")
	_, err := store.Delete(t.Context(), coordinator.Deletion{
		Repository: later.ID, Write: hold(t, store, later.ID).Write, Grace: long,
	})
	require.NoError(t, err)
	kept := ready(t, store, "kept.git")
	require.NoError(t, store.Removed(t.Context(), kept.ID, all()), "only what is being deleted")
	require.Len(t, load(t, store, kept.ID).Replicas, 3)

	seen := map[coordinator.RepositoryID]bool{}
	for _, want := range []int{2, 1, 0} {
		removals := claimRemovals(t, store, coordinator.RemovalRequest{Limit: 2, TTL: long})
		require.Len(t, removals, want)
		for _, removal := range removals {
			require.False(t, seen[removal.ID], "claimed twice")
			require.Len(t, removal.Replicas, 3)
			seen[removal.ID] = true
		}
	}
	require.NotContains(t, seen, later.ID)
}

// testRemovalWaits has a repair that may still be writing to a replica.
func testRemovalWaits(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository, claim := claimed(t, store)
	deleted := remove(t, store, repository.ID)
	require.True(t, deleted.Replicas[2].Repairing)
	require.NoError(t, store.Removed(t.Context(), repository.ID, all()))
	left := load(t, store, repository.ID).Replicas
	require.Len(t, left, 1)
	require.Equal(t, third, left[0].Storage)

	require.NoError(t, store.PostponeRepair(t.Context(), claim, coordinator.Postponement{}))
	require.NoError(t, store.Removed(t.Context(), repository.ID, all()))
	require.Len(t, load(t, store, repository.ID).Replicas, 1, "its node may not have ended")
	removedTwice(t, store, repository.ID)
}

// removedTwice has a repository removed at once and again when no node is at work.
func removedTwice(t *testing.T, store coordinator.Store, id coordinator.RepositoryID) {
	t.Helper()
	request := coordinator.RemovalRequest{Limit: 10, TTL: long, Keep: keep}
	require.Len(t, claimRemovals(t, store, request), 1)
	require.NoError(t, store.Removed(t.Context(), id, all()))
	require.NotEmpty(t, load(t, store, id).Replicas, "once is not enough")
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		removals, err := store.ClaimRemovals(t.Context(), request)
		require.NoError(c, err)
		require.Len(c, removals, 1)
	}, patience, tick)
	require.NoError(t, store.Removed(t.Context(), id, all()))
	_, err := store.Load(t.Context(), id)
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
}

// testRemovalEndsRepair has a repair whose process does not know that its repository is deleted:
// its claim is over, and nothing counts that was removed before its time was.
func testRemovalEndsRepair(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := outdated(t, store, "repository.git")
	begin := time.Now()
	claim := claimAll(t, store, 3*keep, third)[0]
	remove(t, store, repository.ID)
	request := coordinator.RemovalRequest{Limit: 10, Keep: keep}
	require.True(t, claimRemovals(t, store, request)[0].Replicas[2].Repairing)
	require.ErrorIs(t, store.RenewRepair(t.Context(), claim, long), coordinator.ErrSuperseded)
	require.ErrorIs(t, store.PostponeRepair(t.Context(), claim, coordinator.Postponement{}),
		coordinator.ErrSuperseded)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		for _, again := range claimRemovals(t, store, request) {
			require.NoError(c, store.Removed(t.Context(), again.ID, all()))
		}
		_, err := store.Load(t.Context(), repository.ID)
		require.ErrorIs(c, err, coordinator.ErrRepositoryNotFound)
	}, patience, tick)
	require.Greater(t, time.Since(begin), 4*keep, "the claim, and what its node may do")
}

// keep is how long removals are kept in tests that wait for it.
const keep = time.Second

// testRemovalKept has a creation whose nodes may be at work, undone by its proxy or by a worker.
func testRemovalKept(t *testing.T, store coordinator.Store) {
	t.Helper()
	failed, dead := creation("failed.git"), creation("dead.git")
	enlist(t, store, other)
	dead.Incarnation = other
	require.NoError(t, store.Create(t.Context(), failed))
	require.NoError(t, store.Create(t.Context(), dead))
	_, err := store.Delete(t.Context(), coordinator.Deletion{Repository: failed.ID, Keep: keep})
	require.NoError(t, err)
	resign(t, store, other)

	request := coordinator.RemovalRequest{Limit: 10, TTL: long, Keep: keep}
	require.Len(t, claimRemovals(t, store, request), 2, "the disks are cleaned at once")
	require.NoError(t, store.Removed(t.Context(), failed.ID, all()))
	require.NoError(t, store.Removed(t.Context(), dead.ID, []coordinator.Storage{first}))
	for _, id := range []coordinator.RepositoryID{failed.ID, dead.ID} {
		require.Len(t, load(t, store, id).Replicas, 3, "and again at the end")
	}
	require.Empty(t, claimRemovals(t, store, request))

	again := map[coordinator.RepositoryID]bool{}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		removals, err := store.ClaimRemovals(t.Context(), request)
		require.NoError(c, err)
		for _, removal := range removals {
			again[removal.ID] = true
		}
		require.Len(c, again, 2)
	}, patience, tick)
	for id := range again {
		require.NoError(t, store.Removed(t.Context(), id, all()))
		_, err := store.Load(t.Context(), id)
		require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
	}
}

// testRemovalPutOff has a removal that is tried again until all disks are clean, and then put off
// to the end of the time for which the repository is kept.
func testRemovalPutOff(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	_, err := store.Delete(t.Context(), coordinator.Deletion{
		Repository: repository.ID, Write: hold(t, store, repository.ID).Write, Keep: long,
	})
	require.NoError(t, err)
	request := coordinator.RemovalRequest{Limit: 10}
	require.Len(t, claimRemovals(t, store, request), 1)
	require.NoError(t, store.Removed(t.Context(), repository.ID,
		[]coordinator.Storage{first, second}))
	require.Len(t, claimRemovals(t, store, request), 1, "one disk is left")
	require.NoError(t, store.Removed(t.Context(), repository.ID, all()))
	require.Empty(t, claimRemovals(t, store, request))
	require.Len(t, load(t, store, repository.ID).Replicas, 3)
}

// testRemovalSettles deletes a repository while a node may act on a write. What was removed before
// the end of that time does not count, even if it is reported later.
func testRemovalSettles(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	require.NoError(t, store.Settle(t.Context(), repository.ID, coordinator.Settling{
		Storages: []coordinator.Storage{second}, For: keep,
	}))
	remove(t, store, repository.ID)
	request := coordinator.RemovalRequest{Limit: 10, TTL: long}
	require.Len(t, claimRemovals(t, store, request), 1)
	require.NoError(t, store.Removed(t.Context(), repository.ID, all()))
	require.Len(t, load(t, store, repository.ID).Replicas, 3)

	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.NoError(c, store.Removed(t.Context(), repository.ID, all()))
		removals, err := store.ClaimRemovals(t.Context(), request)
		require.NoError(c, err)
		require.Len(c, removals, 1)
	}, patience, tick)
	require.NoError(t, store.Removed(t.Context(), repository.ID, all()))
	_, err := store.Load(t.Context(), repository.ID)
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
}
