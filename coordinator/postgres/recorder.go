package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"praefect/coordinator"
)

// recordedRow is what the statement says about a record.
type recordedRow struct {
	coordinator.Recorded
	// done: this call recorded. repeated: an earlier one did. unmoved: none did yet, though it
	// could have.
	done, repeated, unmoved bool
}

// errUnmoved says that the repository stands where the write began and could not be recorded all
// the same: an earlier call of which the answer was lost is still at work.
var errUnmoved = errors.New("an earlier statement has not ended")

// Record implements [coordinator.Recorder].
func (s *Store) Record(
	ctx context.Context, outcome coordinator.WriteOutcome,
) (coordinator.Recorded, error) {
	late, delays := split(outcome.Delays)
	row, err := queryOne(ctx, s, recordSQL, arguments{
		"id": int64(outcome.Repository), "write": int64(outcome.Write),
		"epoch": int64(outcome.Epoch), "base": int64(outcome.Base),
		"raise": names(outcome.Raise), "primary": string(outcome.Primary),
		"verify": outcome.Verify, "late": late, "delays": delays,
	}, scanRecorded)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return coordinator.Recorded{}, coordinator.ErrSuperseded
	case err != nil:
		return coordinator.Recorded{}, err
	case row.done:
		return row.Recorded, nil
	case row.repeated:
		// What the first call left behind is not known any more; the cautious answer costs little.
		row.Shrunk, row.RepairDue = true, true
		return row.Recorded, nil
	case row.unmoved:
		return coordinator.Recorded{}, fmt.Errorf("%w: %w",
			coordinator.ErrMetadataUnavailable, errUnmoved)
	default:
		return coordinator.Recorded{}, coordinator.ErrSuperseded
	}
}

func scanRecorded(row pgx.CollectableRow) (recordedRow, error) {
	var r recordedRow
	err := row.Scan(&r.Generation, &r.Epoch, &r.done, &r.repeated, &r.unmoved,
		&r.Shrunk, &r.RepairDue)
	if err != nil {
		return recordedRow{}, fmt.Errorf("scan record: %w", err)
	}
	return r, nil
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
	rows, err := query(ctx, s, confirmSQL, arguments{
		"id": int64(late.Repository), "epoch": int64(late.Epoch),
		"generation": int64(late.Generation), "storage": string(late.Storage),
	}, pgx.RowTo[int64])
	return len(rows) > 0, err
}

// HastenRepair implements [coordinator.Recorder].
func (s *Store) HastenRepair(
	ctx context.Context, id coordinator.RepositoryID,
	delays map[coordinator.Storage]time.Duration,
) error {
	storages, values := split(delays)
	_, err := query(ctx, s, hastenSQL, arguments{
		"id": int64(id), "storages": storages, "delays": values,
	}, pgx.RowTo[int64])
	return err
}

// ScheduleVerification implements [coordinator.Recorder].
func (s *Store) ScheduleVerification(ctx context.Context, id coordinator.RepositoryID) error {
	return s.changed(ctx, verifySQL, arguments{"id": int64(id)}, coordinator.ErrRepositoryNotFound)
}

// Elect implements [coordinator.Recorder]. It takes a second statement to read the result, since a
// statement does not see what it has changed itself; elections are rare.
func (s *Store) Elect(
	ctx context.Context, election coordinator.Election,
) (coordinator.Repository, error) {
	_, err := query(ctx, s, electSQL, arguments{
		"id": int64(election.Repository), "epoch": int64(election.Epoch),
		"candidate": string(election.Candidate),
	}, pgx.RowTo[int64])
	if err != nil {
		return coordinator.Repository{}, err
	}
	after, err := s.Load(ctx, election.Repository)
	if err == nil && after.State != coordinator.StateReady {
		err = coordinator.ErrRepositoryNotFound
	}
	return after, err
}
