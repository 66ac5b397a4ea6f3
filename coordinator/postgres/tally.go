package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"praefect/coordinator"
)

// TallyUnavailable implements [coordinator.Tallier].
func (s *Store) TallyUnavailable(
	ctx context.Context, healthy []coordinator.Place,
) ([]coordinator.Tally, error) {
	return s.tally(ctx, countUnavailableSQL, placesOf(healthy))
}

// TallyRepairs implements [coordinator.Tallier].
func (s *Store) TallyRepairs(ctx context.Context) ([]coordinator.Tally, error) {
	return s.tally(ctx, countRepairsSQL, arguments{})
}

// TallyAudits implements [coordinator.Tallier].
func (s *Store) TallyAudits(
	ctx context.Context, places []coordinator.Place, interval time.Duration,
) ([]coordinator.Tally, error) {
	parameters := placesOf(places)
	parameters["interval"] = milliseconds(interval)
	return s.tally(ctx, countAuditsSQL, parameters)
}

// TallyWork implements [coordinator.Tallier].
func (s *Store) TallyWork(ctx context.Context) ([]coordinator.Tally, error) {
	return s.tally(ctx, countWorkSQL, arguments{})
}

func (s *Store) tally(
	ctx context.Context, statement string, parameters arguments,
) ([]coordinator.Tally, error) {
	return query(ctx, s, statement, parameters,
		func(row pgx.CollectableRow) (coordinator.Tally, error) {
			var tally coordinator.Tally
			err := row.Scan(
				&tally.VirtualStorage, &tally.Storage, &tally.State, &tally.Number)
			if err != nil {
				return tally, fmt.Errorf("scan tally: %w", err)
			}
			return tally, nil
		})
}

// placesOf passes places as two arrays of the same length.
func placesOf(places []coordinator.Place) arguments {
	virtualStorages, storages := make([]string, 0, len(places)), make([]string, 0, len(places))
	for _, place := range places {
		virtualStorages = append(virtualStorages, string(place.VirtualStorage))
		storages = append(storages, string(place.Storage))
	}
	return arguments{"virtual_storages": virtualStorages, "storages": storages}
}
