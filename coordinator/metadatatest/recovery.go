package metadatatest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

func recoveryTests() map[string]func(*testing.T, coordinator.Store) {
	return map[string]func(*testing.T, coordinator.Store){
		"adopt":               testAdopt,
		"adopt of the ended":  testAdoptEnded,
		"adopt again":         testAdoptAgain,
		"adopt some":          testAdoptSome,
		"adopt needs a lease": testAdoptNeedsLease,
	}
}

func testAdopt(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	repository := outdated(t, store, "repository.git")
	held := hold(t, store, repository.ID)
	require.Empty(t, adopt(t, store, other), "its proxy lives")
	require.NoError(t, store.MarkTurn(t.Context(), repository.ID, held.Write,
		[]coordinator.Storage{second}))

	adopted := adopt(t, store, other)
	after := load(t, store, repository.ID)
	want := []coordinator.Adoption{{
		Intent: held, Number: 1, Ended: []coordinator.Storage{second}, Snapshot: after,
	}}
	require.Empty(t, cmp.Diff(want, adopted))
	require.Equal(t, repository.Epoch+1, after.Epoch)
	require.Equal(t, repository.Generation, after.Generation)
	require.Equal(t, repository.Primary, after.Primary)
	require.True(t, after.TurnHeld)

	require.Empty(t, adopt(t, store, self), "its adopter lives")
	require.Empty(t, cmp.Diff(want, adopt(t, store, other)), "an answer can be had again")
	require.Equal(t, after, load(t, store, repository.ID), "nothing has changed")
	wanted, err := store.CloseTurn(t.Context(), repository.ID, held.Write)
	require.NoError(t, err)
	require.False(t, wanted)
	require.True(t, load(t, store, repository.ID).TurnHeld)
}

// testAdoptEnded has turns of a proxy that resigned, of one whose lease ran out, and of one that
// started again.
func testAdoptEnded(t *testing.T, store coordinator.Store) {
	t.Helper()
	for i, end := range map[coordinator.Incarnation]func(){
		10: func() { resign(t, store, 10) },
		11: func() {
			_, err := store.Renew(t.Context(), coordinator.Renewal{Incarnation: 11, TTL: 0})
			require.NoError(t, err)
		},
		12: func() {
			_, err := store.Enlist(t.Context(), coordinator.Enlistment{
				Incarnation: 13, Name: "proxy-12", TTL: long, Replaces: true,
			})
			require.NoError(t, err)
		},
	} {
		enlist(t, store, i)
		repository := ready(t, store, fmt.Sprintf("%d.git", i))
		held := intent(repository.ID)
		held.Incarnation = i
		_, err := store.OpenTurn(t.Context(), held)
		require.NoError(t, err)
		end()
		adopted := adopt(t, store, self)
		require.Len(t, adopted, 1)
		require.Equal(t, held, adopted[0].Intent)
		_, err = store.Resolve(t.Context(), keepNothing(adopted[0], self))
		require.NoError(t, err)
	}
}

// testAdoptAgain has an adopter that ends as well.
func testAdoptAgain(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	enlist(t, store, extra)
	repository := ready(t, store, "repository.git")
	held := hold(t, store, repository.ID)
	require.NoError(t, store.MarkTurn(t.Context(), repository.ID, held.Write, nil))
	firstTime := adopt(t, store, other)
	require.Len(t, firstTime, 1)
	require.NoError(t, store.MarkTurn(t.Context(), repository.ID, held.Write,
		[]coordinator.Storage{third}), "more is known about the participants")
	require.Empty(t, adopt(t, store, extra), "the adopter lives")

	resign(t, store, other)
	again := adopt(t, store, extra)
	require.Len(t, again, 1)
	require.Equal(t, int64(2), again[0].Number)
	require.Equal(t, firstTime[0].Snapshot.Epoch+1, again[0].Snapshot.Epoch)
	require.Equal(t, []coordinator.Storage{third}, again[0].Ended)

	_, err := store.Resolve(t.Context(), keepAll(firstTime[0], other))
	require.ErrorIs(t, err, coordinator.ErrSuperseded, "the adopter that froze")
	_, err = store.Resolve(t.Context(), keepNothing(firstTime[0], other))
	require.ErrorIs(t, err, coordinator.ErrSuperseded)
	require.True(t, load(t, store, repository.ID).TurnHeld)
	_, err = store.Resolve(t.Context(), keepAll(again[0], extra))
	require.NoError(t, err)
}

func testAdoptSome(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	for i := range 5 {
		held := hold(t, store, ready(t, store, fmt.Sprintf("%d.git", i)).ID)
		require.NoError(t, store.MarkTurn(t.Context(), held.Repository, held.Write, nil))
	}
	some, err := store.AdoptTurns(t.Context(), other, 2)
	require.NoError(t, err)
	require.Len(t, some, 2)
	require.Equal(t, "0.git", some[0].Snapshot.Key.RelativePath, "the oldest first")
	require.Equal(t, "1.git", some[1].Snapshot.Key.RelativePath)
	more, err := store.AdoptTurns(t.Context(), other, 3)
	require.NoError(t, err)
	require.Len(t, more, 3)
	require.Empty(t, cmp.Diff(some, more[:2]), "those that it has come first")
	require.Len(t, adopt(t, store, self), 2, "the rest")
}

func testAdoptNeedsLease(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	held := hold(t, store, repository.ID)
	require.NoError(t, store.MarkTurn(t.Context(), repository.ID, held.Write, nil))
	_, err := store.AdoptTurns(t.Context(), other, 10)
	require.ErrorIs(t, err, coordinator.ErrLeaseLost)
	enlist(t, store, other)
	require.Len(t, adopt(t, store, other), 1)
	resign(t, store, other)
	_, err = store.AdoptTurns(t.Context(), other, 10)
	require.ErrorIs(t, err, coordinator.ErrLeaseLost, "not even its own")
	require.Equal(t, repository.Epoch+1, load(t, store, repository.ID).Epoch)
}
