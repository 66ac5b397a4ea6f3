package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"praefect/coordinator"
)

// ScheduleVerification implements [coordinator.Verifier].
func (s *Store) ScheduleVerification(
	ctx context.Context, id coordinator.RepositoryID, delay time.Duration,
) error {
	return s.changed(ctx, verifySQL, arguments{
		"id": int64(id), "delay": milliseconds(delay),
	}, coordinator.ErrRepositoryNotFound)
}

// ClaimVerifications implements [coordinator.Verifier].
func (s *Store) ClaimVerifications(
	ctx context.Context, limit int, ttl time.Duration,
) ([]coordinator.Verification, error) {
	claimed, err := query(ctx, s, claimVerificationsSQL, arguments{
		"limit": limit, "ttl": milliseconds(ttl),
	}, func(row pgx.CollectableRow) (coordinator.Verification, error) {
		var v coordinator.Verification
		if err := row.Scan(&v.Repository.ID, &v.Asked, &v.Doubtful); err != nil {
			return v, fmt.Errorf("scan verification: %w", err)
		}
		return v, nil
	})
	if err != nil {
		return nil, err
	}
	ids := make([]coordinator.RepositoryID, 0, len(claimed))
	for _, verification := range claimed {
		ids = append(ids, verification.Repository.ID)
	}
	found, err := s.repositories(ctx, ids)
	if err != nil {
		return nil, err
	}
	var present []coordinator.Verification
	for _, verification := range claimed {
		// One that is gone meanwhile needs no comparison.
		if repository, ok := found[verification.Repository.ID]; ok {
			verification.Repository = repository
			present = append(present, verification)
		}
	}
	return present, nil
}

// Verified implements [coordinator.Verifier].
func (s *Store) Verified(ctx context.Context, verified coordinator.Verification) error {
	return s.execute(ctx, verifiedSQL, arguments{
		"id": int64(verified.Repository.ID), "asked": verified.Asked,
	})
}
