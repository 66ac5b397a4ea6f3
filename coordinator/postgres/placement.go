package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"praefect/coordinator"
)

// columns splits places for a statement.
func columns(places []coordinator.Place) (virtualStorages, storages []string) {
	virtualStorages = make([]string, 0, len(places))
	storages = make([]string, 0, len(places))
	for _, place := range places {
		virtualStorages = append(virtualStorages, string(place.VirtualStorage))
		storages = append(storages, string(place.Storage))
	}
	return virtualStorages, storages
}

// placed are the parameters of a statement about places, and others.
func placed(places []coordinator.Place, others arguments) arguments {
	others["virtual_storages"], others["storages"] = columns(places)
	return others
}

// Unenrolled implements placement.Store.
func (s *Store) Unenrolled(
	ctx context.Context, after coordinator.RepositoryID, limit int, places []coordinator.Place,
) ([]coordinator.RepositoryID, coordinator.RepositoryID, error) {
	type answer struct {
		last  coordinator.RepositoryID
		found []coordinator.RepositoryID
	}
	rows, err := read(ctx, s, unenrolledSQL,
		placed(places, arguments{"after": int64(after), "limit": limit}),
		func(row pgx.CollectableRow) (answer, error) {
			var a answer
			if err := row.Scan(&a.last, &a.found); err != nil {
				return a, fmt.Errorf("scan window: %w", err)
			}
			return a, nil
		})
	if err != nil || len(rows) == 0 {
		return nil, 0, err
	}
	return rows[0].found, rows[0].last, nil
}

// Enrol implements placement.Store.
func (s *Store) Enrol(
	ctx context.Context, id coordinator.RepositoryID, places []coordinator.Place,
) (bool, error) {
	return s.changedLocked(ctx, int64(id), enrolSQL, placed(places, arguments{"id": int64(id)}))
}

// Surplus implements placement.Store.
func (s *Store) Surplus(
	ctx context.Context, after coordinator.RepositoryID, limit int, places []coordinator.Place,
) ([]coordinator.Surplus, error) {
	return read(ctx, s, surplusSQL,
		placed(places, arguments{"after": int64(after), "limit": limit}), scanSurplus)
}

func scanSurplus(row pgx.CollectableRow) (coordinator.Surplus, error) {
	var found coordinator.Surplus
	err := row.Scan(&found.Repository, &found.Key.VirtualStorage, &found.Key.RelativePath,
		&found.ReplicaPath, &found.Storage)
	if err != nil {
		return found, fmt.Errorf("scan replica: %w", err)
	}
	return found, nil
}

// Retire implements placement.Store.
func (s *Store) Retire(
	ctx context.Context, retirement coordinator.Retirement,
) error {
	done, _, err := changeAndLoad(ctx, s, retirement.Repository, statement{
		retireSQL, arguments{
			"id": int64(retirement.Repository), "write": int64(retirement.Write),
			"storage":    string(retirement.Storage),
			"configured": names(retirement.Configured), "claim": -int64(retirement.Claim),
			"grace": milliseconds(retirement.Grace), "keep": milliseconds(retirement.Keep),
		},
	}, pgx.RowTo[bool])
	if err == nil && !done {
		return coordinator.ErrSuperseded
	}
	return err
}

// ClaimRetired implements placement.Store.
func (s *Store) ClaimRetired(
	ctx context.Context, request coordinator.RetiredRequest,
) ([]coordinator.Surplus, error) {
	return query(ctx, s, claimRetiredSQL, placed(request.Places, arguments{
		"claim": -int64(request.Claim), "ttl": milliseconds(request.TTL),
		"keep": milliseconds(request.Keep), "limit": request.Limit,
	}), scanSurplus)
}

// EndRetirement implements placement.Store.
func (s *Store) EndRetirement(
	ctx context.Context, claim coordinator.ClaimID, removed coordinator.Surplus,
) error {
	return s.execute(ctx, endRetirementSQL, arguments{
		"id": int64(removed.Repository), "storage": string(removed.Storage),
		"claim": -int64(claim),
	})
}

// BeginWalk implements cleaner.Store.
func (s *Store) BeginWalk(
	ctx context.Context, places []coordinator.Place, interval, ttl time.Duration,
) (coordinator.Place, bool, error) {
	begun, err := query(ctx, s, beginWalkSQL, placed(places, arguments{
		"interval": milliseconds(interval), "ttl": milliseconds(ttl),
	}), func(row pgx.CollectableRow) (coordinator.Place, error) {
		var place coordinator.Place
		if err := row.Scan(&place.VirtualStorage, &place.Storage); err != nil {
			return place, fmt.Errorf("scan place: %w", err)
		}
		return place, nil
	})
	if err != nil || len(begun) == 0 {
		return coordinator.Place{}, false, err
	}
	return begun[0], true, nil
}

// EndWalk implements cleaner.Store.
func (s *Store) EndWalk(ctx context.Context, place coordinator.Place, done bool) error {
	return s.execute(ctx, endWalkSQL, arguments{
		"virtual_storage": string(place.VirtualStorage), "storage": string(place.Storage),
		"done": done,
	})
}
