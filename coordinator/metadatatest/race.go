package metadatatest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"praefect/coordinator"
)

func raceTests() map[string]func(*testing.T, coordinator.Store) {
	return map[string]func(*testing.T, coordinator.Store){
		"race of turns":                  raceOfTurns,
		"race of records":                raceOfRecords,
		"race of record and adoption":    raceOfRecordAndAdoption,
		"race of adoptions":              raceOfAdoptions,
		"race of resolutions":            raceOfResolutions,
		"race of closing and marking":    raceOfClosingAndMarking,
		"race of turn and deletion":      raceOfTurnAndDeletion,
		"race of confirmation and claim": raceOfConfirmationAndClaim,
		"race of renewal and successor":  raceOfRenewalAndSuccessor,
		"race of invalidations":          raceOfInvalidations,
		"race of writers":                raceOfWriters,
		"race of creations":              raceOfCreations,
	}
}

// rounds is how often two calls are made to meet.
const rounds = 25

// race runs calls at the same moment and returns the error of each.
func race(calls ...func() error) []error {
	var (
		start   = make(chan struct{})
		results = make([]error, len(calls))
		group   sync.WaitGroup
	)
	for i, call := range calls {
		group.Go(func() {
			<-start
			results[i] = call()
		})
	}
	close(start)
	group.Wait()
	return results
}

// raceOfTurns lets many proxies take one turn: exactly one of them gets it.
func raceOfTurns(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	for range rounds {
		var calls []func() error
		var won atomic.Int64
		for range 4 {
			calls = append(calls, func() error {
				held := intent(repository.ID)
				_, err := store.OpenTurn(t.Context(), held)
				if err == nil {
					won.Store(int64(held.Write))
				}
				return err
			})
		}
		winners := 0
		for _, err := range race(calls...) {
			if err == nil {
				winners++
				continue
			}
			require.ErrorIs(t, err, coordinator.ErrTurnTaken)
		}
		require.Equal(t, 1, winners)
		_, err := store.CloseTurn(t.Context(), repository.ID, coordinator.WriteID(won.Load()))
		require.NoError(t, err)
		require.False(t, load(t, store, repository.ID).TurnHeld)
	}
}

// raceOfCreations lets two proxies create one path: exactly one of them begins.
func raceOfCreations(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	for i := range rounds {
		path := fmt.Sprintf("%d.git", i)
		mine, theirs := creation(path), creation(path)
		theirs.Incarnation = other
		results := race(
			func() error { return store.Create(t.Context(), mine) },
			func() error { return store.Create(t.Context(), theirs) },
		)
		winner, refused := mine, results[1]
		if results[0] != nil {
			winner, refused = theirs, results[0]
			require.NoError(t, results[1])
		}
		require.ErrorIs(t, refused, coordinator.ErrRepositoryExists)
		require.NoError(t, store.Complete(t.Context(), winner.ID))
		found, err := store.Lookup(t.Context(), winner.Key)
		require.NoError(t, err)
		require.Equal(t, winner.ID, found.ID)
	}
}

// raceOfRecords repeats one record many times at once: it counts once.
func raceOfRecords(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	for range rounds {
		made := write(t, store, repository, all()...)
		call := func() error {
			_, err := store.Record(t.Context(), made)
			return err
		}
		for _, err := range race(call, call, call) {
			require.NoError(t, err)
		}
		before := repository.Generation
		repository = load(t, store, repository.ID)
		require.Equal(t, before+1, repository.Generation)
	}
}

// raceOfRecordAndAdoption has an owner that froze and records late: either it came first, or there
// is nothing to record any more.
func raceOfRecordAndAdoption(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	for i := range rounds {
		repository := ready(t, store, fmt.Sprintf("%d.git", i))
		made := write(t, store, repository, all()...)
		var adopted []coordinator.Adoption
		results := race(func() error {
			_, err := store.Record(t.Context(), made)
			return err
		}, func() error {
			err := store.MarkTurn(t.Context(), repository.ID, made.Write, nil)
			if err == nil {
				adopted, err = store.AdoptTurns(t.Context(), other, 10)
			}
			return err
		})
		require.NoError(t, results[1])
		after := load(t, store, repository.ID)
		if results[0] == nil {
			require.Empty(t, adopted)
			require.Equal(t, coordinator.Generation(1), after.Generation)
			require.Equal(t, coordinator.Epoch(1), after.Epoch)
			continue
		}
		require.ErrorIs(t, results[0], coordinator.ErrSuperseded)
		if len(adopted) == 0 {
			// A repository that somebody is looking at is passed over.
			adopted = adopt(t, store, other)
		}
		require.Len(t, adopted, 1)
		require.Equal(t, coordinator.Generation(0), after.Generation)
		require.Equal(t, adopted[0].Snapshot, load(t, store, repository.ID))
		_, err := store.Resolve(t.Context(), keepAll(adopted[0], other))
		require.NoError(t, err)
	}
}

// raceOfAdoptions has two proxies adopt the same turns: each turn goes to one of them.
func raceOfAdoptions(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	enlist(t, store, extra)
	for i := range rounds {
		repository := ready(t, store, fmt.Sprintf("%d.git", i))
		held := hold(t, store, repository.ID)
		require.NoError(t, store.MarkTurn(t.Context(), repository.ID, held.Write, nil))
		var byOther, byExtra []coordinator.Adoption
		for _, err := range race(func() error {
			var err error
			byOther, err = store.AdoptTurns(t.Context(), other, 10)
			return err
		}, func() error {
			var err error
			byExtra, err = store.AdoptTurns(t.Context(), extra, 10)
			return err
		}) {
			require.NoError(t, err)
		}
		require.Len(t, append(byOther, byExtra...), 1)
		require.Equal(t, coordinator.Epoch(2), load(t, store, repository.ID).Epoch)
		for _, adoption := range byOther {
			_, err := store.Resolve(t.Context(), keepAll(adoption, other))
			require.NoError(t, err)
		}
		for _, adoption := range byExtra {
			_, err := store.Resolve(t.Context(), keepNothing(adoption, extra))
			require.NoError(t, err)
		}
	}
}

// raceOfResolutions has an adopter that ends while it resolves, and one that takes over.
func raceOfResolutions(t *testing.T, store coordinator.Store) {
	t.Helper()
	for i := range rounds {
		frozen := coordinator.Incarnation(100 + i)
		enlist(t, store, frozen)
		repository := ready(t, store, fmt.Sprintf("%d.git", i))
		held := hold(t, store, repository.ID)
		require.NoError(t, store.MarkTurn(t.Context(), repository.ID, held.Write, nil))
		late := adopt(t, store, frozen)
		require.Len(t, late, 1)
		var again []coordinator.Adoption
		results := race(func() error {
			_, err := store.Resolve(t.Context(), keepAll(late[0], frozen))
			return err
		}, func() error {
			err := store.Resign(t.Context(), frozen)
			if err == nil {
				again, err = store.AdoptTurns(t.Context(), self, 10)
			}
			return err
		})
		require.NoError(t, results[1])
		if results[0] == nil {
			require.Empty(t, again)
			require.Equal(t, coordinator.Epoch(3), load(t, store, repository.ID).Epoch)
			continue
		}
		require.ErrorIs(t, results[0], coordinator.ErrSuperseded)
		require.Len(t, again, 1)
		_, err := store.Resolve(t.Context(), keepAll(again[0], self))
		require.NoError(t, err)
		require.Equal(t, coordinator.Epoch(4), load(t, store, repository.ID).Epoch)
	}
}

// raceOfClosingAndMarking has a turn given back and left to recovery: it is free or adopted.
func raceOfClosingAndMarking(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	for i := range rounds {
		held := hold(t, store, ready(t, store, fmt.Sprintf("%d.git", i)).ID)
		for _, err := range race(func() error {
			_, err := store.CloseTurn(t.Context(), held.Repository, held.Write)
			return err
		}, func() error {
			return store.MarkTurn(t.Context(), held.Repository, held.Write, nil)
		}) {
			require.NoError(t, err)
		}
		adopted := adopt(t, store, other)
		require.Equal(t, len(adopted) == 1, load(t, store, held.Repository).TurnHeld)
		for _, adoption := range adopted {
			_, err := store.Resolve(t.Context(), keepNothing(adoption, other))
			require.NoError(t, err)
		}
	}
}

// raceOfTurnAndDeletion has somebody wait for the turn of a repository that is deleted.
func raceOfTurnAndDeletion(t *testing.T, store coordinator.Store) {
	t.Helper()
	for i := range rounds {
		held := hold(t, store, ready(t, store, fmt.Sprintf("%d.git", i)).ID)
		results := race(func() error {
			_, err := store.Delete(t.Context(), coordinator.Deletion{
				Repository: held.Repository, Write: held.Write, Grace: long,
			})
			return err
		}, func() error {
			_, err := store.OpenTurn(t.Context(), intent(held.Repository))
			return err
		})
		require.NoError(t, results[0])
		require.True(t, errors.Is(results[1], coordinator.ErrTurnTaken) ||
			errors.Is(results[1], coordinator.ErrRepositoryNotFound), "%v", results[1])
		require.False(t, load(t, store, held.Repository).TurnHeld)
	}
}

// raceOfConfirmationAndClaim has a replica that confirms late while a repair of it begins.
func raceOfConfirmationAndClaim(t *testing.T, store coordinator.Store) {
	t.Helper()
	for i := range rounds {
		repository := outdated(t, store, fmt.Sprintf("%d.git", i))
		var taken bool
		var claims []coordinator.RepairClaim
		for _, err := range race(func() error {
			var err error
			taken, err = store.Confirm(t.Context(), coordinator.LateConfirmation{
				Repository: repository.ID, Epoch: 1, Generation: 1, Storage: third,
			})
			return err
		}, func() error {
			var err error
			claims, err = store.ClaimRepairs(t.Context(), coordinator.RepairRequest{
				Claim: newClaim(), TTL: long, Targets: []coordinator.RepairTarget{
					{VirtualStorage: virtual, Storage: third, Limit: 1},
				},
			})
			return err
		}) {
			require.NoError(t, err)
		}
		require.False(t, taken && len(claims) > 0, "both")
		require.Equal(t, taken, load(t, store, repository.ID).Current(third))
		remove(t, store, repository.ID)
	}
}

// raceOfRenewalAndSuccessor has a proxy that started again while its predecessor renews its lease:
// once the successor lives, the predecessor does not.
func raceOfRenewalAndSuccessor(t *testing.T, store coordinator.Store) {
	t.Helper()
	last := coordinator.Incarnation(100)
	enlistAs := func(incarnation coordinator.Incarnation) error {
		_, err := store.Enlist(t.Context(), coordinator.Enlistment{
			Incarnation: incarnation, Name: "restarting", TTL: long, Replaces: true,
		})
		return err
	}
	require.NoError(t, enlistAs(last))
	for range rounds {
		next := last + 1
		results := race(func() error {
			_, err := store.Renew(t.Context(), coordinator.Renewal{Incarnation: last, TTL: long})
			return err
		}, func() error { return enlistAs(next) })
		require.NoError(t, results[1])
		if results[0] != nil {
			require.ErrorIs(t, results[0], coordinator.ErrLeaseLost)
		}
		_, err := store.Renew(t.Context(), coordinator.Renewal{Incarnation: last, TTL: long})
		require.ErrorIs(t, err, coordinator.ErrLeaseLost)
		last = next
	}
}

// raceOfInvalidations has many repositories invalidated while somebody reads them: whoever has seen
// a number never sees a smaller one later.
func raceOfInvalidations(t *testing.T, store coordinator.Store) {
	t.Helper()
	const writers = 6
	var group, watching errgroup.Group
	for i := range writers {
		repository := ready(t, store, fmt.Sprintf("%d.git", i))
		group.Go(func() error {
			for epoch := range coordinator.Epoch(rounds) {
				held := intent(repository.ID)
				if _, err := store.OpenTurn(t.Context(), held); err != nil {
					return err
				}
				if _, err := store.Elect(t.Context(), coordinator.Election{
					Repository: repository.ID, Write: held.Write, Epoch: epoch + 1,
					Candidate: second,
				}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	const expected = coordinator.Sequence(writers * rounds)
	watching.Go(func() error {
		for applied := coordinator.Sequence(0); applied < expected; {
			known, err := store.Renew(t.Context(), coordinator.Renewal{
				Incarnation: self, TTL: long, Applied: applied,
			})
			if err != nil {
				return err
			}
			for _, invalidation := range known.Invalidations {
				applied++
				if invalidation.Sequence != applied {
					return fmt.Errorf("%d came after %d", invalidation.Sequence, applied-1)
				}
			}
		}
		return nil
	})
	require.NoError(t, group.Wait())
	require.NoError(t, watching.Wait())
}

// raceOfWriters has proxies write one repository as fast as they can: every write counts once and
// builds on the one before.
func raceOfWriters(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	const writers, writes = 4, 10
	var group errgroup.Group
	for range writers {
		group.Go(func() error {
			for done := 0; done < writes; {
				held := intent(repository.ID)
				base, err := store.OpenTurn(t.Context(), held)
				if errors.Is(err, coordinator.ErrTurnTaken) {
					continue
				}
				if err != nil {
					return err
				}
				made := outcome(base, all()...)
				made.Write = held.Write
				if _, err := store.Record(t.Context(), made); err != nil {
					return err
				}
				done++
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, coordinator.Generation(writers*writes),
		load(t, store, repository.ID).Generation)
}
