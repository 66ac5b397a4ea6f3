package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"praefect/coordinator"
)

// AdoptTurns implements [coordinator.Recoverer]. The repositories are read after the adoption is
// visible; from then on nobody else changes them.
func (s *Store) AdoptTurns(
	ctx context.Context, adopter coordinator.Incarnation, limit int,
) ([]coordinator.Adoption, error) {
	rows, err := read(ctx, s, adoptSQL, arguments{
		"adopter": int64(adopter), "limit": limit,
	}, scanAdoption)
	switch {
	case err != nil:
		return nil, err
	case len(rows) == 0:
		return nil, coordinator.ErrLeaseLost
	case rows[0].Write == 0:
		return nil, nil
	}
	ids := make([]coordinator.RepositoryID, 0, len(rows))
	for _, adoption := range rows {
		ids = append(ids, adoption.Repository)
	}
	found, err := s.repositories(ctx, ids)
	if err != nil {
		return nil, err
	}
	var adopted []coordinator.Adoption
	for _, adoption := range rows {
		if repository, ok := found[adoption.Repository]; ok {
			adoption.Snapshot = repository
			adopted = append(adopted, adoption)
		}
	}
	return adopted, nil
}

func scanAdoption(row pgx.CollectableRow) (coordinator.Adoption, error) {
	var a coordinator.Adoption
	err := row.Scan(&a.Write, &a.Repository, &a.Incarnation, &a.Kind, &a.Participants, &a.Ended,
		&a.Number)
	if err != nil {
		return coordinator.Adoption{}, fmt.Errorf("scan adoption: %w", err)
	}
	return a, nil
}

// Resolve implements [coordinator.Recoverer]. It is a transaction of several round trips, because
// who settles depends on what the intent says; so the repository is locked while the server waits
// for this process.
func (s *Store) Resolve(
	ctx context.Context, resolution coordinator.Resolution,
) (coordinator.Recorded, error) {
	var row recordedRow
	err := s.run(ctx, func(ctx context.Context) error {
		err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			var err error
			row, err = resolve(ctx, tx, resolution)
			return err
		})
		if err != nil {
			return fmt.Errorf("run transaction: %w", err)
		}
		return nil
	})
	if err != nil {
		return coordinator.Recorded{}, err
	}
	return row.answer()
}

func resolve(
	ctx context.Context, tx pgx.Tx, resolution coordinator.Resolution,
) (recordedRow, error) {
	parameters := arguments{
		"id": int64(resolution.Repository), "write": int64(resolution.Write),
		"owner": int64(resolution.Owner), "number": resolution.Number,
		"epoch": int64(resolution.Epoch), "base": int64(resolution.Base),
	}
	text := dropTurnSQL
	if len(resolution.Keep) > 0 {
		text = resolveSQL
		parameters["keep"] = names(resolution.Keep)
		parameters["primary"] = string(resolution.Primary)
	}
	var (
		row    recordedRow
		behind behind
	)
	err := exchange(ctx, tx, func(a *answers) error {
		err := a.skip()
		if err == nil {
			err = a.skip()
		}
		if err == nil {
			row, err = first(a, scanRecorded)
		}
		if err == nil {
			behind, err = first(a, scanBehind)
		}
		return err
	}, []statement{
		{boundIdleSQL, arguments{}},
		lock(resolution.Repository),
		{text, parameters},
		behindOf(resolution.Repository),
	})
	if err != nil {
		return recordedRow{}, err
	}
	row.Await = behind.await(row.own)
	return row, settleIn(ctx, tx, row, resolution)
}

// settleIn notes what settles, but for those not kept that are known to do nothing any more.
func settleIn(
	ctx context.Context, tx pgx.Tx, row recordedRow, resolution coordinator.Resolution,
) error {
	settling := slices.DeleteFunc(names(resolution.Settling.Storages), func(name string) bool {
		return slices.Contains(row.ended, name)
	})
	if !row.done || len(settling) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, settleSQL, arguments{
		"id": int64(resolution.Repository), "storages": settling,
		"for": milliseconds(resolution.Settling.For),
	})
	if err != nil {
		return fmt.Errorf("note what settles: %w", err)
	}
	return nil
}

// Restore implements [coordinator.Recoverer].
func (s *Store) Restore(ctx context.Context, lost coordinator.Kept) (bool, error) {
	return s.changedLocked(ctx, int64(lost.Repository), restoreSQL, arguments{
		"id": int64(lost.Repository), "write": int64(lost.Write), "epoch": int64(lost.Epoch),
		"generation": int64(lost.Generation), "holders": names(lost.Holders),
		"primary": string(lost.Primary),
	})
}

// Settle implements [coordinator.Recoverer].
func (s *Store) Settle(
	ctx context.Context, id coordinator.RepositoryID, settling coordinator.Settling,
) error {
	if len(settling.Storages) == 0 {
		return nil
	}
	return s.changed(ctx, settleSQL, arguments{
		"id": int64(id), "storages": names(settling.Storages), "for": milliseconds(settling.For),
	}, coordinator.ErrRepositoryNotFound)
}
