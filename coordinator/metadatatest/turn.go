package metadatatest

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"praefect/coordinator"
)

func turnTests() map[string]func(*testing.T, coordinator.Store) {
	return map[string]func(*testing.T, coordinator.Store){
		"turn":                          testTurn,
		"turn is taken":                 testTurnTaken,
		"turn needs a lease":            testTurnNeedsLease,
		"turn needs a ready repository": testTurnNeedsReady,
		"turn is left":                  testTurnLeft,
		"holdings of a proxy":           testHoldings,
		"turn outlives its proxy":       testTurnOutlives,
		"notices":                       testNotices,
		"caller has left":               testCallerLeft,
	}
}

func testTurn(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := outdated(t, store, "repository.git")
	held := intent(repository.ID)
	want := repository
	want.TurnHeld = true
	for range 2 {
		opened, err := store.OpenTurn(t.Context(), held)
		require.NoError(t, err, "opening it again succeeds")
		require.Equal(t, want, opened)
	}
	require.Equal(t, want, load(t, store, repository.ID))

	wanted, err := store.CloseTurn(t.Context(), repository.ID, newWrite())
	require.NoError(t, err)
	require.False(t, wanted)
	require.True(t, load(t, store, repository.ID).TurnHeld, "it is not that write's")
	for range 2 {
		wanted, err = store.CloseTurn(t.Context(), repository.ID, held.Write)
		require.NoError(t, err, "closing it again succeeds")
		require.False(t, wanted)
	}
	require.Equal(t, repository, load(t, store, repository.ID))

	record(t, store, write(t, store, repository, first, second))
	opened, err := store.OpenTurn(t.Context(), intent(repository.ID))
	require.NoError(t, err, "a record ends the turn")
	require.Equal(t, coordinator.Generation(2), opened.Generation)
}

// testHoldings lists what a proxy holds, and nothing that has ended or is left to others.
func testHoldings(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	holdings := func(incarnation coordinator.Incarnation) []coordinator.Holding {
		found, err := store.Holdings(t.Context(), incarnation)
		require.NoError(t, err)
		return found
	}
	require.Empty(t, holdings(self))
	held := hold(t, store, ready(t, store, "held.git").ID)
	marked := hold(t, store, ready(t, store, "marked.git").ID)
	require.NoError(t, store.MarkTurn(t.Context(), marked.Repository, marked.Write, nil))
	withdraw(t, store, announce(t, store, held.Repository, self))
	announced := announce(t, store, held.Repository, self)
	made, undone := creation("creating.git"), creation("undone.git")
	require.NoError(t, store.Create(t.Context(), made))
	require.NoError(t, store.Create(t.Context(), undone))
	_, err := store.Delete(t.Context(), coordinator.Deletion{Repository: undone.ID})
	require.NoError(t, err)
	require.ElementsMatch(t, []coordinator.Holding{
		{Kind: coordinator.HoldingTurn, Repository: held.Repository, Write: held.Write},
		{
			Kind: coordinator.HoldingAnnouncement, Repository: held.Repository,
			Write: announced.Write,
		},
		{Kind: coordinator.HoldingCreation, Repository: made.ID},
	}, holdings(self))
	require.Empty(t, holdings(other))
}

func testTurnTaken(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	repository := ready(t, store, "repository.git")
	made := write(t, store, repository, all()...)
	waiting := intent(repository.ID)
	waiting.Incarnation = other
	for range 2 {
		_, err := store.OpenTurn(t.Context(), waiting)
		require.ErrorIs(t, err, coordinator.ErrTurnTaken)
	}
	stolen := waiting
	stolen.Write = made.Write
	_, err := store.OpenTurn(t.Context(), stolen)
	require.ErrorIs(t, err, coordinator.ErrTurnTaken, "the write is another proxy's")

	recorded, err := store.Record(t.Context(), made)
	require.NoError(t, err)
	require.True(t, recorded.Wanted)
	_, err = store.OpenTurn(t.Context(), waiting)
	require.NoError(t, err)
	_, err = store.OpenTurn(t.Context(), intent(repository.ID))
	require.ErrorIs(t, err, coordinator.ErrTurnTaken)
	wanted, err := store.CloseTurn(t.Context(), repository.ID, waiting.Write)
	require.NoError(t, err)
	require.True(t, wanted)
	recorded, err = store.Record(t.Context(),
		write(t, store, load(t, store, repository.ID), all()...))
	require.NoError(t, err)
	require.False(t, recorded.Wanted, "nobody asked since")
}

func testTurnNeedsLease(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	held := intent(repository.ID)
	held.Incarnation = other
	_, err := store.OpenTurn(t.Context(), held)
	require.ErrorIs(t, err, coordinator.ErrLeaseLost, "unknown")
	enlist(t, store, other)
	resign(t, store, other)
	_, err = store.OpenTurn(t.Context(), held)
	require.ErrorIs(t, err, coordinator.ErrLeaseLost, "ended")
	require.False(t, load(t, store, repository.ID).TurnHeld)
}

func testTurnNeedsReady(t *testing.T, store coordinator.Store) {
	t.Helper()
	creating, deleting := creation("creating.git"), ready(t, store, "deleting.git")
	require.NoError(t, store.Create(t.Context(), creating))
	remove(t, store, deleting.ID)
	for _, id := range []coordinator.RepositoryID{creating.ID, deleting.ID, newID()} {
		_, err := store.OpenTurn(t.Context(), intent(id))
		require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
	}
	require.False(t, load(t, store, creating.ID).TurnHeld)
	require.False(t, load(t, store, deleting.ID).TurnHeld)
}

func testTurnLeft(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	held := hold(t, store, repository.ID)
	require.NoError(t, store.MarkTurn(t.Context(), repository.ID, newWrite(), all()))
	require.Empty(t, adopt(t, store, self), "that was another write")

	mark := func(ended ...coordinator.Storage) {
		require.NoError(t, store.MarkTurn(t.Context(), repository.ID, held.Write, ended))
	}
	mark()
	mark(third)
	mark(second, third)
	wanted, err := store.CloseTurn(t.Context(), repository.ID, held.Write)
	require.NoError(t, err)
	require.False(t, wanted)
	require.True(t, load(t, store, repository.ID).TurnHeld, "only recovery ends it")
	_, err = store.OpenTurn(t.Context(), held)
	require.ErrorIs(t, err, coordinator.ErrTurnTaken)

	adopted := adopt(t, store, self)
	require.Len(t, adopted, 1)
	slices.Sort(adopted[0].Ended)
	require.Equal(t, []coordinator.Storage{second, third}, adopted[0].Ended)
	require.NoError(t, store.MarkTurn(t.Context(), newID(), held.Write, nil))
}

// testTurnOutlives has a proxy that ends: its turn is not free before recovery has ended it.
func testTurnOutlives(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	repository := ready(t, store, "repository.git")
	held := intent(repository.ID)
	held.Incarnation = other
	_, err := store.OpenTurn(t.Context(), held)
	require.NoError(t, err)
	resign(t, store, other)
	_, err = store.OpenTurn(t.Context(), held)
	require.ErrorIs(t, err, coordinator.ErrLeaseLost)
	_, err = store.OpenTurn(t.Context(), intent(repository.ID))
	require.ErrorIs(t, err, coordinator.ErrTurnTaken)
}

// testNotices listens to what others do. A store may lose notices, but not on a quiet machine.
func testNotices(t *testing.T, store coordinator.Store) {
	t.Helper()
	notices := make(chan coordinator.Notice, 100)
	ctx, cancel := context.WithCancel(t.Context())
	var group errgroup.Group
	group.Go(func() error {
		return store.Listen(ctx, func(notice coordinator.Notice) { notices <- notice })
	})
	defer func() {
		cancel()
		require.NoError(t, group.Wait())
	}()
	enlist(t, store, other)
	heard := func(kind coordinator.NoticeKind, id coordinator.RepositoryID) {
		for notice := range notices {
			if notice == (coordinator.Notice{Kind: kind, Repository: id}) {
				return
			}
		}
	}
	// Until the listener is there nothing is heard.
	repository := outdated(t, store, "repository.git")
	for len(notices) == 0 {
		elect(t, store, coordinator.Election{
			Repository: repository.ID, Candidate: second,
			Epoch: load(t, store, repository.ID).Epoch,
		})
	}
	heard(coordinator.NoticeInvalidated, 0)

	held := hold(t, store, repository.ID)
	_, err := store.OpenTurn(t.Context(), intent(repository.ID))
	require.ErrorIs(t, err, coordinator.ErrTurnTaken)
	heard(coordinator.NoticeTurnWanted, repository.ID)
	_, err = store.CloseTurn(t.Context(), repository.ID, held.Write)
	require.NoError(t, err)
	heard(coordinator.NoticeTurnFree, repository.ID)

	held = hold(t, store, repository.ID)
	require.NoError(t, store.MarkTurn(t.Context(), repository.ID, held.Write, nil))
	heard(coordinator.NoticeTurnLeft, repository.ID)
	require.Len(t, adopt(t, store, other), 1)
	resign(t, store, other)
	heard(coordinator.NoticeTurnLeft, repository.ID)
}
