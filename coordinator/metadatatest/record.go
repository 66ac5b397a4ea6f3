package metadatatest

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"praefect/coordinator"
)

func testRecord(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	recorded, err := store.Record(t.Context(), write(repository, all()...))
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
	outcome := write(ready(t, store, "repository.git"), second)
	outcome.Primary = second
	outcome.Delays = map[coordinator.Storage]time.Duration{first: long}
	recorded, err := store.Record(t.Context(), outcome)
	require.NoError(t, err)
	require.Equal(t, coordinator.Recorded{
		Generation: 1, Epoch: 2, Shrunk: true, RepairDue: true,
	}, recorded)

	repository := load(t, store, outcome.Repository)
	require.Equal(t, second, repository.Primary)
	require.Equal(t, coordinator.Epoch(2), repository.Epoch)
	require.Equal(t, []coordinator.Generation{0, 1, 0}, generations(repository))
	claims := claimAll(t, store, long, all()...)
	require.Len(t, claims, 1, "the first may still be at work")
	require.Equal(t, third, claims[0].Storage)

	// The next write raises only who stood at the base, whatever it is told.
	recorded, err = store.Record(t.Context(), write(repository, all()...))
	require.NoError(t, err)
	require.False(t, recorded.Shrunk, "those were outdated before")
	require.Equal(t, []coordinator.Generation{0, 2, 0}, generations(load(t, store, repository.ID)))
}

func testRecordTwice(t *testing.T, store coordinator.Store) {
	t.Helper()
	outcome := write(ready(t, store, "repository.git"), first, second)
	repository := record(t, store, outcome)
	again, err := store.Record(t.Context(), outcome)
	require.NoError(t, err)
	require.Equal(t, coordinator.Generation(1), again.Generation)
	require.True(t, again.Shrunk && again.RepairDue, "the second answer is a cautious one")
	require.Equal(t, repository, load(t, store, repository.ID), "nothing has changed")

	other := outcome
	other.Write = newWrite()
	_, err = store.Record(t.Context(), other)
	require.ErrorIs(t, err, coordinator.ErrSuperseded, "another write from the same base")

	record(t, store, write(repository, first, second))
	_, err = store.Record(t.Context(), outcome)
	require.ErrorIs(t, err, coordinator.ErrSuperseded, "the repository has moved on")
}

func testRecordSuperseded(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	for name, change := range map[string]func(*coordinator.WriteOutcome){
		"epoch":      func(o *coordinator.WriteOutcome) { o.Epoch++ },
		"old epoch":  func(o *coordinator.WriteOutcome) { o.Epoch-- },
		"generation": func(o *coordinator.WriteOutcome) { o.Base++ },
		"repository": func(o *coordinator.WriteOutcome) { o.Repository = newID() },
	} {
		outcome := write(repository, all()...)
		change(&outcome)
		_, err := store.Record(t.Context(), outcome)
		require.ErrorIs(t, err, coordinator.ErrSuperseded, name)
	}
	require.Equal(t, repository, load(t, store, repository.ID))
}

func testRecordNeedsPrimary(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := outdated(t, store, "repository.git")
	for name, outcome := range map[string]coordinator.WriteOutcome{
		"nobody":            write(repository),
		"without primary":   write(repository, second),
		"outdated new one":  withPrimary(write(repository, all()...), third),
		"new one unraised":  withPrimary(write(repository, first), second),
		"new one elsewhere": withPrimary(write(repository, all()...), "gitaly-4"),
	} {
		_, err := store.Record(t.Context(), outcome)
		require.ErrorIs(t, err, coordinator.ErrSuperseded, name)
	}
	require.Equal(t, repository, load(t, store, repository.ID))
}

func withPrimary(
	outcome coordinator.WriteOutcome, primary coordinator.Storage,
) coordinator.WriteOutcome {
	outcome.Primary = primary
	return outcome
}

func testRecordDuringCreation(t *testing.T, store coordinator.Store) {
	t.Helper()
	from := creation("repository.git")
	require.NoError(t, store.Create(t.Context(), from))
	repository := record(t, store, write(load(t, store, from.ID), first, second))
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

	recorded, err := store.Record(t.Context(), write(repository, first, second))
	require.NoError(t, err)
	require.True(t, recorded.Shrunk)
	require.False(t, recorded.RepairDue)
	require.Empty(t, claimAll(t, store, long, all()...))
}

// testRecordsConcurrent lets many writers record from the same base.
func testRecordsConcurrent(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	const writers = 8
	var won atomic.Int64
	var group errgroup.Group
	for range writers {
		group.Go(func() error {
			_, err := store.Record(t.Context(), write(repository, all()...))
			if err == nil {
				won.Add(1)
			}
			if errors.Is(err, coordinator.ErrSuperseded) ||
				errors.Is(err, coordinator.ErrMetadataUnavailable) {
				return nil
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, int64(1), won.Load())
	require.Equal(t, []coordinator.Generation{1, 1, 1}, generations(load(t, store, repository.ID)))
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
	for name, meanwhile := range map[string]func(coordinator.Repository){
		"another write": func(r coordinator.Repository) {
			record(t, store, write(r, first, second))
		},
		"another primary": func(r coordinator.Repository) {
			_, err := store.Elect(t.Context(), coordinator.Election{
				Repository: r.ID, Epoch: r.Epoch, Candidate: second,
			})
			require.NoError(t, err)
		},
		"removal": func(r coordinator.Repository) {
			_, err := store.Delete(t.Context(), r.ID, long)
			require.NoError(t, err)
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
		_, err = store.Delete(t.Context(), repository.ID, long)
		if name != "removal" {
			require.NoError(t, err, name)
		}
	}
}

func testHasten(t *testing.T, store coordinator.Store) {
	t.Helper()
	outcome := write(ready(t, store, "repository.git"), first)
	outcome.Delays = map[coordinator.Storage]time.Duration{second: long, third: long}
	repository := record(t, store, outcome)
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

func testVerification(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	require.NoError(t, store.ScheduleVerification(t.Context(), repository.ID))
	require.NoError(t, store.ScheduleVerification(t.Context(), repository.ID))
	require.ErrorIs(t, store.ScheduleVerification(t.Context(), newID()),
		coordinator.ErrRepositoryNotFound)
	outcome := write(repository, all()...)
	outcome.Verify = true
	record(t, store, outcome)
}

func testElect(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := outdated(t, store, "repository.git")
	elect := func(epoch coordinator.Epoch, candidate coordinator.Storage) coordinator.Repository {
		after, err := store.Elect(t.Context(), coordinator.Election{
			Repository: repository.ID, Epoch: epoch, Candidate: candidate,
		})
		require.NoError(t, err)
		return after
	}
	require.Equal(t, repository, elect(1, third), "an outdated replica never becomes primary")
	require.Equal(t, repository, elect(0, second), "nor anybody in an old epoch")
	require.Equal(t, repository, elect(1, "gitaly-4"))

	after := elect(1, second)
	require.Equal(t, second, after.Primary)
	require.Equal(t, coordinator.Epoch(2), after.Epoch)
	require.Equal(t, repository.Generation, after.Generation)
	require.Equal(t, after, load(t, store, repository.ID))
	_, err := store.Record(t.Context(), write(repository, first, second))
	require.ErrorIs(t, err, coordinator.ErrSuperseded, "writes of the old epoch are over")
	_, err = store.Elect(t.Context(), coordinator.Election{Repository: newID()})
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
}

func testElectConcurrent(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	var group errgroup.Group
	for _, candidate := range all() {
		group.Go(func() error {
			_, err := store.Elect(t.Context(), coordinator.Election{
				Repository: repository.ID, Epoch: repository.Epoch, Candidate: candidate,
			})
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, coordinator.Epoch(2), load(t, store, repository.ID).Epoch)
}
