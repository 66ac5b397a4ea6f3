package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"praefect/coordinator"
)

// recordedRow is what a statement says about a record or a resolution.
type recordedRow struct {
	coordinator.Recorded
	// done: this call recorded. repeated: an earlier one did.
	done, repeated bool
	// own is the incarnation that recorded; it need not acknowledge.
	own coordinator.Incarnation
	// ended are participants that do nothing any more.
	ended []string
}

// Record implements [coordinator.Recorder]. It is three statements in one round trip: behind the
// lock of the repository, the second sees exactly what it changes, and the third whoever has
// enlisted before the invalidation was numbered.
func (s *Store) Record(
	ctx context.Context, outcome coordinator.WriteOutcome,
) (coordinator.Recorded, error) {
	late, delays := split(outcome.Delays)
	var row recordedRow
	err := s.batchAgain(ctx, func(a *answers) error {
		err := a.skip()
		if err == nil {
			row, err = first(a, scanRecorded)
		}
		var behind behind
		if err == nil {
			behind, err = first(a, scanBehind)
		}
		row.Await = behind.await(row.own)
		return err
	}, lock(outcome.Repository), statement{recordSQL, arguments{
		"id": int64(outcome.Repository), "write": int64(outcome.Write),
		"epoch": int64(outcome.Epoch), "base": int64(outcome.Base),
		"raise": names(outcome.Raise), "primary": string(outcome.Primary),
		"verify": outcome.Verify, "late": late, "delays": delays,
	}}, behindOf(outcome.Repository))
	if err != nil {
		return coordinator.Recorded{}, err
	}
	return row.answer()
}

// answer says what the contract says. What a repeated call has left behind is not known any more;
// the cautious answer costs little.
func (r recordedRow) answer() (coordinator.Recorded, error) {
	switch {
	case r.done:
		return r.Recorded, nil
	case r.repeated:
		r.Shrunk, r.RepairDue, r.Wanted = true, true, true
		return r.Recorded, nil
	default:
		return coordinator.Recorded{}, coordinator.ErrSuperseded
	}
}

func scanRecorded(row pgx.CollectableRow) (recordedRow, error) {
	var r recordedRow
	err := row.Scan(&r.Generation, &r.Epoch, &r.done, &r.repeated, &r.Shrunk, &r.RepairDue,
		&r.Wanted, &r.own, &r.ended)
	if err != nil {
		return recordedRow{}, fmt.Errorf("scan record: %w", err)
	}
	return r, nil
}

// behind says which proxies have not applied the last invalidation of a repository.
type behind struct {
	invalidated coordinator.Sequence
	proxies     []coordinator.Incarnation
}

func behindOf(id coordinator.RepositoryID) statement {
	return statement{behindSQL, arguments{"id": int64(id)}}
}

func scanBehind(row pgx.CollectableRow) (behind, error) {
	var b behind
	if err := row.Scan(&b.invalidated, &b.proxies); err != nil {
		return behind{}, fmt.Errorf("scan proxies: %w", err)
	}
	return b, nil
}

// await returns what others than the given one have to acknowledge, or 0.
func (b behind) await(own coordinator.Incarnation) coordinator.Sequence {
	for _, incarnation := range b.proxies {
		if incarnation != own {
			return b.invalidated
		}
	}
	return 0
}

// split turns a table of delays into two columns.
func split(delays map[coordinator.Storage]time.Duration) ([]string, []int64) {
	storages := make([]string, 0, len(delays))
	values := make([]int64, 0, len(delays))
	for storage, delay := range delays {
		storages = append(storages, string(storage))
		values = append(values, milliseconds(delay))
	}
	return storages, values
}

// Confirm implements [coordinator.Recorder].
func (s *Store) Confirm(ctx context.Context, late coordinator.LateConfirmation) (bool, error) {
	return s.changedLocked(ctx, int64(late.Repository), confirmSQL+invalidateChangedSQL, arguments{
		"id": int64(late.Repository), "epoch": int64(late.Epoch),
		"generation": int64(late.Generation), "storage": string(late.Storage),
	})
}

// HastenRepair implements [coordinator.Recorder].
func (s *Store) HastenRepair(
	ctx context.Context, id coordinator.RepositoryID,
	delays map[coordinator.Storage]time.Duration,
) error {
	storages, values := split(delays)
	_, err := s.changedLocked(ctx, int64(id), hastenSQL, arguments{
		"id": int64(id), "storages": storages, "delays": values,
	})
	return err
}

// Elect implements [coordinator.Recorder].
func (s *Store) Elect(
	ctx context.Context, election coordinator.Election,
) (coordinator.Repository, error) {
	var (
		held  bool
		after []coordinator.Repository
	)
	err := s.batch(ctx, func(a *answers) error {
		err := a.skip()
		if err == nil {
			held, err = first(a, pgx.RowTo[bool])
		}
		if err == nil {
			after, err = nextRepositories(a)
		}
		return err
	}, lock(election.Repository), statement{electSQL, arguments{
		"id": int64(election.Repository), "write": int64(election.Write),
		"epoch": int64(election.Epoch), "candidate": string(election.Candidate),
	}}, load(election.Repository))
	switch {
	case err != nil:
		return coordinator.Repository{}, err
	case len(after) == 0 || after[0].State != coordinator.StateReady:
		return coordinator.Repository{}, coordinator.ErrRepositoryNotFound
	case !held:
		return coordinator.Repository{}, coordinator.ErrSuperseded
	}
	return after[0], nil
}
