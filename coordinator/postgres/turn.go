package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"praefect/coordinator"
)

// opened is what became of the attempt to take a turn.
type opened struct{ live, opened bool }

func scanOpened(row pgx.CollectableRow) (opened, error) {
	var o opened
	if err := row.Scan(&o.live, &o.opened); err != nil {
		return opened{}, fmt.Errorf("scan turn: %w", err)
	}
	return o, nil
}

// OpenTurn implements [coordinator.Turns].
func (s *Store) OpenTurn(
	ctx context.Context, intent coordinator.Intent,
) (coordinator.Repository, error) {
	var (
		turn  opened
		found []coordinator.Repository
	)
	err := s.batchAgain(ctx, func(a *answers) error {
		var err error
		if turn, err = first(a, scanOpened); err != nil {
			return err
		}
		found, err = nextRepositories(a)
		return err
	}, statement{openTurnSQL, arguments{
		"id": int64(intent.Repository), "write": int64(intent.Write),
		"incarnation": int64(intent.Incarnation), "kind": string(intent.Kind),
		"participants": names(intent.Participants),
	}}, load(intent.Repository))
	switch {
	case err != nil:
		return coordinator.Repository{}, err
	case !turn.live:
		return coordinator.Repository{}, coordinator.ErrLeaseLost
	case len(found) == 0 || found[0].State != coordinator.StateReady:
		return coordinator.Repository{}, coordinator.ErrRepositoryNotFound
	case !turn.opened:
		return coordinator.Repository{}, coordinator.ErrTurnTaken
	}
	return found[0], nil
}

// Holdings implements [coordinator.Turns].
func (s *Store) Holdings(
	ctx context.Context, incarnation coordinator.Incarnation,
) ([]coordinator.Holding, error) {
	return query(ctx, s, holdingsSQL, arguments{"incarnation": int64(incarnation)},
		func(row pgx.CollectableRow) (coordinator.Holding, error) {
			var holding coordinator.Holding
			if err := row.Scan(&holding.Kind, &holding.Repository, &holding.Write); err != nil {
				return coordinator.Holding{}, fmt.Errorf("scan holding: %w", err)
			}
			return holding, nil
		})
}

// CloseTurn implements [coordinator.Turns].
func (s *Store) CloseTurn(
	ctx context.Context, id coordinator.RepositoryID, write coordinator.WriteID,
) (bool, error) {
	wanted, err := read(ctx, s, closeTurnSQL, arguments{
		"id": int64(id), "write": int64(write),
	}, func(row pgx.CollectableRow) (bool, error) {
		var wanted bool
		if err := row.Scan(&wanted, nil); err != nil {
			return false, fmt.Errorf("scan turn: %w", err)
		}
		return wanted, nil
	})
	return len(wanted) > 0 && wanted[0], err
}

// MarkTurn implements [coordinator.Turns].
func (s *Store) MarkTurn(
	ctx context.Context, id coordinator.RepositoryID, write coordinator.WriteID,
	ended []coordinator.Storage,
) error {
	return s.execute(ctx, markTurnSQL, arguments{
		"id": int64(id), "write": int64(write), "ended": names(ended),
	})
}
