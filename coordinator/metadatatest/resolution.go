package metadatatest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

func resolutionTests() map[string]func(*testing.T, coordinator.Store) {
	return map[string]func(*testing.T, coordinator.Store){
		"resolve":                     testResolve,
		"resolve own turn":            testResolveOwn,
		"resolve superseded":          testResolveSuperseded,
		"resolve without a decision":  testResolveNothing,
		"resolve is no late record":   testResolveIsNoRecord,
		"resolve raises no others":    testResolveOutdated,
		"resolve and a copy":          testResolveCopy,
		"resolve tells who waits":     testResolveWanted,
		"resolve leaves marked alone": testResolveMarked,
	}
}

// left has a turn that is left to recovery and adopted by another proxy.
func left(
	t *testing.T, store coordinator.Store, repository coordinator.Repository,
) coordinator.Adoption {
	t.Helper()
	held := hold(t, store, repository.ID)
	require.NoError(t, store.MarkTurn(t.Context(), repository.ID, held.Write, nil))
	enlist(t, store, other)
	for _, adoption := range adopt(t, store, other) {
		if adoption.Write == held.Write {
			return adoption
		}
	}
	require.Fail(t, "the turn is not adopted")
	return coordinator.Adoption{}
}

// keepAll resolves an adoption with all replicas as they are.
func keepAll(
	adoption coordinator.Adoption, owner coordinator.Incarnation,
) coordinator.Resolution {
	resolution := keepNothing(adoption, owner)
	resolution.Keep, resolution.Primary = all(), adoption.Snapshot.Primary
	return resolution
}

// keepNothing ends an adoption in which nothing was in doubt.
func keepNothing(
	adoption coordinator.Adoption, owner coordinator.Incarnation,
) coordinator.Resolution {
	return coordinator.Resolution{
		Repository: adoption.Repository, Write: adoption.Write, Owner: owner,
		Number: adoption.Number, Epoch: adoption.Snapshot.Epoch,
		Base: adoption.Snapshot.Generation,
	}
}

func testResolve(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	adoption := left(t, store, repository)
	resolution := keepAll(adoption, other)
	resolution.Keep, resolution.Primary = []coordinator.Storage{second, third}, third
	recorded, err := store.Resolve(t.Context(), resolution)
	require.NoError(t, err)
	after := load(t, store, repository.ID)
	require.Equal(t, coordinator.Recorded{
		Generation: 1, Epoch: 3, Shrunk: true, RepairDue: true, Await: after.Invalidated,
	}, recorded, "the proxy whose turn it was has to know")
	require.Equal(t, []coordinator.Generation{0, 1, 1}, generations(after))
	require.Equal(t, third, after.Primary)
	require.False(t, after.TurnHeld)
	require.Greater(t, after.Invalidated, repository.Invalidated)

	again, err := store.Resolve(t.Context(), resolution)
	require.NoError(t, err, "repeating it succeeds")
	require.Equal(t, coordinator.Recorded{
		Generation: 1, Epoch: 3, Shrunk: true, RepairDue: true, Await: after.Invalidated,
		Wanted: true,
	}, again)
	require.Equal(t, after, load(t, store, repository.ID), "and changes nothing")
	claims := claimAll(t, store, long, all()...)
	require.Len(t, claims, 1)
	require.Equal(t, first, claims[0].Storage)

	record(t, store, write(t, store, after, second, third))
	_, err = store.Resolve(t.Context(), resolution)
	require.ErrorIs(t, err, coordinator.ErrSuperseded)
}

// testResolveOwn ends a turn of the proxy's own, as a verification does.
func testResolveOwn(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	held := hold(t, store, repository.ID)
	recorded, err := store.Resolve(t.Context(), coordinator.Resolution{
		Repository: repository.ID, Write: held.Write, Owner: self, Epoch: 1,
		Keep: all(), Primary: first,
	})
	require.NoError(t, err)
	require.Equal(t, coordinator.Recorded{Generation: 1, Epoch: 2}, recorded)
	after := load(t, store, repository.ID)
	require.Equal(t, []coordinator.Generation{1, 1, 1}, generations(after))
	require.Greater(t, after.Invalidated, repository.Invalidated)
}

func testResolveSuperseded(t *testing.T, store coordinator.Store) {
	t.Helper()
	adoption := left(t, store, outdated(t, store, "repository.git"))
	before := load(t, store, adoption.Repository)
	for name, change := range map[string]func(*coordinator.Resolution){
		"repository": func(r *coordinator.Resolution) { r.Repository = newID() },
		"write":      func(r *coordinator.Resolution) { r.Write = newWrite() },
		"owner":      func(r *coordinator.Resolution) { r.Owner = self },
		"number":     func(r *coordinator.Resolution) { r.Number++ },
		"own turn":   func(r *coordinator.Resolution) { r.Owner, r.Number = self, 0 },
		"no number":  func(r *coordinator.Resolution) { r.Number = 0 },
		"epoch":      func(r *coordinator.Resolution) { r.Epoch-- },
		"base":       func(r *coordinator.Resolution) { r.Base-- },
		"primary":    func(r *coordinator.Resolution) { r.Keep = []coordinator.Storage{second} },
		"outdated":   func(r *coordinator.Resolution) { r.Primary = third },
		"stranger":   func(r *coordinator.Resolution) { r.Primary = "gitaly-4" },
		"nobody":     func(r *coordinator.Resolution) { r.Primary = "" },
	} {
		resolution := keepAll(adoption, other)
		change(&resolution)
		_, err := store.Resolve(t.Context(), resolution)
		require.ErrorIs(t, err, coordinator.ErrSuperseded, name)
	}
	require.Equal(t, before, load(t, store, adoption.Repository))
}

func testResolveNothing(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	adoption := left(t, store, repository)
	wrong := keepNothing(adoption, other)
	wrong.Number++
	_, err := store.Resolve(t.Context(), wrong)
	require.ErrorIs(t, err, coordinator.ErrSuperseded, "it is not that adopter's")

	for range 2 {
		recorded, err := store.Resolve(t.Context(), keepNothing(adoption, other))
		require.NoError(t, err, "repeating it succeeds")
		require.Equal(t, coordinator.Generation(0), recorded.Generation)
		require.Equal(t, adoption.Snapshot.Epoch, recorded.Epoch)
	}
	after := load(t, store, repository.ID)
	require.False(t, after.TurnHeld)
	adoption.Snapshot.TurnHeld = false
	require.Equal(t, adoption.Snapshot, after, "nothing else has changed")
	record(t, store, write(t, store, after, all()...))
	_, err = store.Resolve(t.Context(), keepNothing(adoption, other))
	require.ErrorIs(t, err, coordinator.ErrSuperseded)
}

// testResolveIsNoRecord repeats the record of a write about which a recovery has decided.
func testResolveIsNoRecord(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	adoption := left(t, store, repository)
	made := outcome(repository, all()...)
	made.Write = adoption.Write
	_, err := store.Resolve(t.Context(), keepAll(adoption, other))
	require.NoError(t, err)
	for _, epoch := range []coordinator.Epoch{1, 2, 3} {
		made.Epoch = epoch
		_, err = store.Record(t.Context(), made)
		require.ErrorIs(t, err, coordinator.ErrSuperseded)
	}
	taken, err := store.Confirm(t.Context(), coordinator.LateConfirmation{
		Repository: repository.ID, Epoch: 1, Generation: 1, Storage: third,
	})
	require.NoError(t, err)
	require.False(t, taken)
}

// testResolveOutdated keeps a replica that did not stand at the base.
func testResolveOutdated(t *testing.T, store coordinator.Store) {
	t.Helper()
	adoption := left(t, store, outdated(t, store, "repository.git"))
	recorded, err := store.Resolve(t.Context(), keepAll(adoption, other))
	require.NoError(t, err)
	require.False(t, recorded.Shrunk)
	require.Equal(t, []coordinator.Generation{2, 2, 0},
		generations(load(t, store, adoption.Repository)))
	require.Len(t, claimAll(t, store, long, third), 1)
}

// testResolveCopy has a copy made of a replica that a recovery keeps, begun before the decision: it
// may lack what a node did late, and must not count.
func testResolveCopy(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository, claim := claimed(t, store)
	adoption := left(t, store, repository)
	_, err := store.Resolve(t.Context(), keepAll(adoption, other))
	require.NoError(t, err)
	require.NoError(t, store.FinishRepair(t.Context(), claim, repository.Generation))
	after := load(t, store, repository.ID)
	require.True(t, after.Current(first) && after.Current(second))
	require.False(t, after.Current(third))
	require.Len(t, claimAll(t, store, long, third), 1, "it is due again")
}

func testResolveWanted(t *testing.T, store coordinator.Store) {
	t.Helper()
	for name, keep := range map[string]func(
		coordinator.Adoption, coordinator.Incarnation,
	) coordinator.Resolution{"all": keepAll, "nothing": keepNothing} {
		adoption := left(t, store, ready(t, store, name+".git"))
		_, err := store.OpenTurn(t.Context(), intent(adoption.Repository))
		require.ErrorIs(t, err, coordinator.ErrTurnTaken)
		recorded, err := store.Resolve(t.Context(), keep(adoption, other))
		require.NoError(t, err)
		require.True(t, recorded.Wanted)
		hold(t, store, adoption.Repository)
	}
}

// testResolveMarked has a proxy that left a turn to recovery and then resolves it without having
// adopted it.
func testResolveMarked(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	held := hold(t, store, repository.ID)
	require.NoError(t, store.MarkTurn(t.Context(), repository.ID, held.Write, nil))
	_, err := store.Resolve(t.Context(), coordinator.Resolution{
		Repository: repository.ID, Write: held.Write, Owner: self, Epoch: 1,
		Keep: all(), Primary: first,
	})
	require.ErrorIs(t, err, coordinator.ErrSuperseded)
	require.True(t, load(t, store, repository.ID).TurnHeld)
}
