package metadatatest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

func recordTests() map[string]func(*testing.T, coordinator.Store) {
	return map[string]func(*testing.T, coordinator.Store){
		"record":                      testRecord,
		"record leaves behind":        testRecordLeavesBehind,
		"record shrinks beyond it":    testRecordShrinksBeyond,
		"record twice":                testRecordTwice,
		"record superseded":           testRecordSuperseded,
		"record needs the turn":       testRecordNeedsTurn,
		"record needs a primary":      testRecordNeedsPrimary,
		"record during creation":      testRecordDuringCreation,
		"record keeps unassigned out": testRecordUnassigned,
		"confirm":                     testConfirm,
		"confirm too late":            testConfirmTooLate,
		"hasten repair":               testHasten,
	}
}

func testRecord(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	recorded, err := store.Record(t.Context(), write(t, store, repository, all()...))
	require.NoError(t, err)
	require.Equal(t, coordinator.Recorded{Generation: 1, Epoch: 1}, recorded)

	repository = load(t, store, repository.ID)
	require.Equal(t, coordinator.Generation(1), repository.Generation)
	require.Equal(t, []coordinator.Generation{1, 1, 1}, generations(repository))
	require.Empty(t, claimAll(t, store, long, all()...))
}

// testRecordLeavesBehind replaces the primary and postpones the repair of one that took part.
func testRecordLeavesBehind(t *testing.T, store coordinator.Store) {
	t.Helper()
	made := write(t, store, ready(t, store, "repository.git"), second)
	made.Primary = second
	made.Delays = map[coordinator.Storage]time.Duration{first: long}
	recorded, err := store.Record(t.Context(), made)
	require.NoError(t, err)
	require.Equal(t, coordinator.Recorded{
		Generation: 1, Epoch: 2, Shrunk: true, RepairDue: true,
	}, recorded)

	repository := load(t, store, made.Repository)
	require.Equal(t, second, repository.Primary)
	require.Equal(t, coordinator.Epoch(2), repository.Epoch)
	require.Equal(t, []coordinator.Generation{0, 1, 0}, generations(repository))
	claims := claimAll(t, store, long, all()...)
	require.Len(t, claims, 1, "the first may still be at work")
	require.Equal(t, third, claims[0].Storage)

	// The next write raises only who stood at the base, whatever it is told.
	recorded, err = store.Record(t.Context(), write(t, store, repository, all()...))
	require.NoError(t, err)
	require.False(t, recorded.Shrunk, "those were outdated before")
	require.Equal(t, []coordinator.Generation{0, 2, 0}, generations(load(t, store, repository.ID)))
}

// testRecordShrinksBeyond has a replica come back while a write is under way that it takes no part
// in: it is current, and then it is not any more.
func testRecordShrinksBeyond(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := outdated(t, store, "repository.git")
	enlist(t, store, other)
	held := intent(repository.ID)
	held.Participants = []coordinator.Storage{first, second}
	_, err := store.OpenTurn(t.Context(), held)
	require.NoError(t, err)
	taken, err := store.Confirm(t.Context(), coordinator.LateConfirmation{
		Repository: repository.ID, Epoch: repository.Epoch, Generation: repository.Generation,
		Storage: third,
	})
	require.NoError(t, err)
	require.True(t, taken)
	before := load(t, store, repository.ID)
	require.True(t, before.Current(third))

	made := outcome(repository, first, second)
	made.Write = held.Write
	recorded, err := store.Record(t.Context(), made)
	require.NoError(t, err)
	after := load(t, store, repository.ID)
	require.True(t, recorded.Shrunk, "whoever reads from it has to know")
	require.Equal(t, before.Invalidated+1, after.Invalidated)
	require.Equal(t, after.Invalidated, recorded.Await)
	require.False(t, after.Current(third))
}

func testRecordTwice(t *testing.T, store coordinator.Store) {
	t.Helper()
	made := write(t, store, ready(t, store, "repository.git"), first, second)
	repository := record(t, store, made)
	again, err := store.Record(t.Context(), made)
	require.NoError(t, err)
	require.Equal(t, coordinator.Generation(1), again.Generation)
	require.True(t, again.Shrunk && again.RepairDue && again.Wanted,
		"the second answer is a cautious one")
	require.Equal(t, repository, load(t, store, repository.ID), "nothing has changed")

	record(t, store, write(t, store, repository, first, second))
	_, err = store.Record(t.Context(), made)
	require.ErrorIs(t, err, coordinator.ErrSuperseded, "the repository has moved on")
}

func testRecordSuperseded(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	made := write(t, store, repository, all()...)
	before := load(t, store, repository.ID)
	for name, change := range map[string]func(*coordinator.WriteOutcome){
		"epoch":         func(o *coordinator.WriteOutcome) { o.Epoch++ },
		"old epoch":     func(o *coordinator.WriteOutcome) { o.Epoch-- },
		"generation":    func(o *coordinator.WriteOutcome) { o.Base++ },
		"repository":    func(o *coordinator.WriteOutcome) { o.Repository = newID() },
		"another write": func(o *coordinator.WriteOutcome) { o.Write = newWrite() },
	} {
		changed := made
		change(&changed)
		_, err := store.Record(t.Context(), changed)
		require.ErrorIs(t, err, coordinator.ErrSuperseded, name)
	}
	require.Equal(t, before, load(t, store, repository.ID))
	require.True(t, before.TurnHeld, "a record that is refused leaves the intent")
	record(t, store, made)
}

// testRecordNeedsTurn has outcomes without an intent that is still the proxy's own.
func testRecordNeedsTurn(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	var owner coordinator.Incarnation
	for name, lose := range map[string]func(coordinator.WriteOutcome) error{
		"closed": func(o coordinator.WriteOutcome) error {
			_, err := store.CloseTurn(t.Context(), o.Repository, o.Write)
			return err
		},
		"marked": func(o coordinator.WriteOutcome) error {
			return store.MarkTurn(t.Context(), o.Repository, o.Write, nil)
		},
		"adopted": func(o coordinator.WriteOutcome) error {
			err := store.MarkTurn(t.Context(), o.Repository, o.Write, nil)
			adopt(t, store, other)
			return err
		},
		"adopted from the ended": func(coordinator.WriteOutcome) error {
			resign(t, store, owner)
			adopt(t, store, other)
			return nil
		},
	} {
		made := outcome(ready(t, store, name+".git"), all()...)
		held := intent(made.Repository)
		owner = Enlist(t, store)
		made.Write, held.Incarnation = held.Write, owner
		_, err := store.OpenTurn(t.Context(), held)
		require.NoError(t, err)
		require.NoError(t, lose(made), name)
		for range 2 {
			before := load(t, store, made.Repository)
			_, err := store.Record(t.Context(), made)
			require.ErrorIs(t, err, coordinator.ErrSuperseded, name)
			require.Equal(t, before, load(t, store, made.Repository), name)
			made.Epoch = before.Epoch
		}
	}
	_, err := store.Record(t.Context(), outcome(ready(t, store, "none.git"), all()...))
	require.ErrorIs(t, err, coordinator.ErrSuperseded)
}

func testRecordNeedsPrimary(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := outdated(t, store, "repository.git")
	held := hold(t, store, repository.ID)
	before := load(t, store, repository.ID)
	for name, made := range map[string]coordinator.WriteOutcome{
		"nobody":            outcome(repository),
		"without primary":   outcome(repository, second),
		"outdated new one":  withPrimary(outcome(repository, all()...), third),
		"new one unraised":  withPrimary(outcome(repository, first), second),
		"new one elsewhere": withPrimary(outcome(repository, all()...), "gitaly-4"),
	} {
		made.Write = held.Write
		_, err := store.Record(t.Context(), made)
		require.ErrorIs(t, err, coordinator.ErrSuperseded, name)
	}
	require.Equal(t, before, load(t, store, repository.ID))
}

func withPrimary(
	made coordinator.WriteOutcome, primary coordinator.Storage,
) coordinator.WriteOutcome {
	made.Primary = primary
	return made
}

func testRecordDuringCreation(t *testing.T, store coordinator.Store) {
	t.Helper()
	from := creation("repository.git")
	require.NoError(t, store.Create(t.Context(), from))
	repository := record(t, store, outcome(load(t, store, from.ID), first, second))
	require.Equal(t, coordinator.StateCreating, repository.State)
	require.Empty(t, claimAll(t, store, long, third), "nothing is repaired before it is ready")

	require.NoError(t, store.Complete(t.Context(), from.ID))
	require.Equal(t, []coordinator.Generation{1, 1, 0}, generations(load(t, store, from.ID)))
	require.Len(t, claimAll(t, store, long, third), 1)
}

// testRecordUnassigned has a replica that is current and not meant to be there.
func testRecordUnassigned(t *testing.T, store coordinator.Store) {
	t.Helper()
	from := creation("repository.git")
	from.Assigned = []coordinator.Storage{first, second}
	repository := readyFrom(t, store, from)
	require.True(t, repository.Current(third))

	recorded, err := store.Record(t.Context(), write(t, store, repository, first, second))
	require.NoError(t, err)
	require.True(t, recorded.Shrunk)
	require.False(t, recorded.RepairDue)
	require.Empty(t, claimAll(t, store, long, all()...))
}

func testConfirm(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := outdated(t, store, "repository.git")
	late := coordinator.LateConfirmation{
		Repository: repository.ID, Epoch: repository.Epoch, Generation: repository.Generation,
		Storage: third,
	}
	taken, err := store.Confirm(t.Context(), late)
	require.NoError(t, err)
	require.True(t, taken)
	require.Equal(t, []coordinator.Generation{1, 1, 1}, generations(load(t, store, repository.ID)))
	require.Empty(t, claimAll(t, store, long, third), "it needs no repair any more")

	taken, err = store.Confirm(t.Context(), late)
	require.NoError(t, err)
	require.False(t, taken, "it stands at the generation already")
}

func testConfirmTooLate(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	for name, meanwhile := range map[string]func(coordinator.Repository){
		"another write": func(r coordinator.Repository) {
			record(t, store, write(t, store, r, first, second))
		},
		"another primary": func(r coordinator.Repository) {
			_, err := store.Elect(t.Context(), coordinator.Election{
				Repository: r.ID, Write: hold(t, store, r.ID).Write, Epoch: r.Epoch,
				Candidate: second,
			})
			require.NoError(t, err)
		},
		"adoption": func(r coordinator.Repository) {
			held := hold(t, store, r.ID)
			require.NoError(t, store.MarkTurn(t.Context(), r.ID, held.Write, nil))
			adopted := adopt(t, store, other)
			require.Len(t, adopted, 1)
			_, err := store.Resolve(t.Context(), coordinator.Resolution{
				Repository: r.ID, Write: held.Write, Owner: other, Number: adopted[0].Number,
				Epoch: adopted[0].Snapshot.Epoch, Base: r.Generation,
			})
			require.NoError(t, err)
		},
		"removal": func(r coordinator.Repository) {
			remove(t, store, r.ID)
		},
		"repair under way": func(coordinator.Repository) {
			require.NotEmpty(t, claimAll(t, store, long, third))
		},
		"repair that vanished": func(coordinator.Repository) {
			require.NotEmpty(t, claimAll(t, store, 0, third))
		},
		"repair that could not begin": func(coordinator.Repository) {
			claims := claimAll(t, store, long, third)
			require.NoError(t, store.PostponeRepair(t.Context(), claims[0],
				coordinator.Postponement{Delay: long}))
		},
		"repair that failed": func(coordinator.Repository) {
			claims := claimAll(t, store, long, third)
			require.NoError(t, store.PostponeRepair(t.Context(), claims[0],
				coordinator.Postponement{Failure: "broken", Delay: long}))
		},
	} {
		repository := outdated(t, store, name+".git")
		meanwhile(repository)
		taken, err := store.Confirm(t.Context(), coordinator.LateConfirmation{
			Repository: repository.ID, Epoch: repository.Epoch,
			Generation: repository.Generation, Storage: third,
		})
		require.NoError(t, err, name)
		require.False(t, taken, name)
		if name != "removal" {
			remove(t, store, repository.ID)
		}
	}
}

func testHasten(t *testing.T, store coordinator.Store) {
	t.Helper()
	made := write(t, store, ready(t, store, "repository.git"), first)
	made.Delays = map[coordinator.Storage]time.Duration{second: long, third: long}
	repository := record(t, store, made)
	require.Empty(t, claimAll(t, store, long, all()...))

	require.NoError(t, store.HastenRepair(t.Context(), repository.ID,
		map[coordinator.Storage]time.Duration{first: 0, second: 0, third: long}))
	claims := claimAll(t, store, long, all()...)
	require.Len(t, claims, 1)
	require.Equal(t, second, claims[0].Storage)

	require.NoError(t, store.PostponeRepair(t.Context(), claims[0],
		coordinator.Postponement{Failure: "broken", Delay: long}))
	require.NoError(t, store.HastenRepair(t.Context(), repository.ID,
		map[coordinator.Storage]time.Duration{second: 0}))
	require.Empty(t, claimAll(t, store, long, second), "a failed repair keeps its pause")
}
