package metadatatest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

func invalidationTests() map[string]func(*testing.T, coordinator.Store) {
	return map[string]func(*testing.T, coordinator.Store){
		"what invalidates":          testInvalidates,
		"what does not invalidate":  testInvalidatesNothing,
		"await others":              testAwait,
		"await earlier writes":      testAwaitEarlier,
		"await nobody who has left": testAwaitLiving,
	}
}

// testInvalidates changes a repository in every way that makes cached routes wrong.
func testInvalidates(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository, claim := claimed(t, store)
	last := repository.Invalidated
	require.Positive(t, last, "a replica was left behind")
	raised := func(what string) {
		now := load(t, store, repository.ID).Invalidated
		require.Equal(t, last+1, now, what)
		known := renew(t, store, coordinator.Renewal{Incarnation: self, Applied: last})
		require.Equal(t, []coordinator.Invalidation{{Sequence: now, Key: repository.Key}},
			known.Invalidations, what)
		last = now
	}
	require.NoError(t, store.JoinRepair(t.Context(), claim))
	raised("join")
	require.NoError(t, store.FinishRepair(t.Context(), claim, repository.Generation))
	raised("finish")
	elect(t, store, coordinator.Election{Repository: repository.ID, Epoch: 1, Candidate: second})
	raised("elect")
	made := write(t, store, load(t, store, repository.ID), all()...)
	made.Primary = first
	record(t, store, made)
	raised("record of another primary")
	made = write(t, store, load(t, store, repository.ID), first, second)
	after := record(t, store, made)
	raised("record that leaves behind")
	taken, err := store.Confirm(t.Context(), coordinator.LateConfirmation{
		Repository: repository.ID, Epoch: after.Epoch, Generation: after.Generation,
		Storage: third,
	})
	require.NoError(t, err)
	require.True(t, taken)
	raised("confirm")
	_, err = store.Resolve(t.Context(), keepAll(left(t, store, after), other))
	require.NoError(t, err)
	raised("resolve")
	remove(t, store, repository.ID)
	raised("delete")
}

func testInvalidatesNothing(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository, claim := claimed(t, store)
	stranger := claim
	stranger.ID++
	require.ErrorIs(t, store.JoinRepair(t.Context(), stranger), coordinator.ErrSuperseded)
	require.ErrorIs(t, store.FinishRepair(t.Context(), stranger, 1), coordinator.ErrSuperseded)
	_, err := store.Confirm(t.Context(), coordinator.LateConfirmation{
		Repository: repository.ID, Epoch: 1, Generation: 1, Storage: third,
	})
	require.NoError(t, err, "the replica is claimed")
	record(t, store, write(t, store, repository, all()...))
	elect(t, store, coordinator.Election{Repository: repository.ID, Epoch: 7, Candidate: second})
	require.NoError(t, store.PostponeRepair(t.Context(), claim, coordinator.Postponement{}))
	require.NoError(t, store.ScheduleVerification(t.Context(), repository.ID, 0))
	adoption := left(t, store, repository)
	_, err = store.Resolve(t.Context(), keepNothing(adoption, other))
	require.NoError(t, err)
	ready(t, store, "another.git")
	require.Equal(t, repository.Invalidated, load(t, store, repository.ID).Invalidated)
	require.Empty(t, renew(t, store, coordinator.Renewal{
		Incarnation: self, Applied: repository.Invalidated,
	}).Invalidations)
}

func acknowledged(
	t *testing.T, store coordinator.Store, own coordinator.Incarnation,
	awaited coordinator.Sequence,
) bool {
	t.Helper()
	done, err := store.Acknowledged(t.Context(), own, awaited)
	require.NoError(t, err)
	return done
}

func testAwait(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	repository := ready(t, store, "repository.git")
	recorded, err := store.Record(t.Context(), write(t, store, repository, all()...))
	require.NoError(t, err)
	require.Zero(t, recorded.Await, "nothing was invalidated")

	repository = load(t, store, repository.ID)
	recorded, err = store.Record(t.Context(), write(t, store, repository, first, second))
	require.NoError(t, err)
	awaited := recorded.Await
	require.Equal(t, load(t, store, repository.ID).Invalidated, awaited)
	require.False(t, acknowledged(t, store, self, awaited))
	require.False(t, acknowledged(t, store, other, awaited), "nor has the first for the other")
	require.True(t, acknowledged(t, store, self, awaited-1))

	require.NoError(t, acknowledge(t, store, awaited))
	require.NoError(t, acknowledge(t, store, awaited-1), "it is never lowered")
	require.True(t, acknowledged(t, store, self, awaited))
	enlist(t, store, extra)
	require.True(t, acknowledged(t, store, self, awaited), "whoever begins later is not awaited")
	require.False(t, acknowledged(t, store, other, awaited))
	renew(t, store, coordinator.Renewal{Incarnation: self, Applied: awaited})
	require.True(t, acknowledged(t, store, other, awaited), "a renewal acknowledges, too")
}

// testAwaitEarlier has a write without disagreement behind one whose proxies may not know yet.
func testAwaitEarlier(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	repository := outdated(t, store, "repository.git")
	recorded, err := store.Record(t.Context(), write(t, store, repository, all()...))
	require.NoError(t, err)
	require.False(t, recorded.Shrunk)
	require.Equal(t, repository.Invalidated, recorded.Await)

	require.NoError(t, acknowledge(t, store, repository.Invalidated))
	repository = load(t, store, repository.ID)
	recorded, err = store.Record(t.Context(), write(t, store, repository, all()...))
	require.NoError(t, err)
	require.Zero(t, recorded.Await)
}

func testAwaitLiving(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	repository := outdated(t, store, "repository.git")
	require.False(t, acknowledged(t, store, self, repository.Invalidated))
	resign(t, store, other)
	require.True(t, acknowledged(t, store, self, repository.Invalidated))
	recorded, err := store.Record(t.Context(), write(t, store, repository, first))
	require.NoError(t, err)
	require.True(t, recorded.Shrunk)
	require.Zero(t, recorded.Await)
}
