package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"praefect/coordinator"
)

// ClaimAudits implements [coordinator.Auditor].
func (s *Store) ClaimAudits(
	ctx context.Context, request coordinator.AuditRequest,
) ([]coordinator.Audit, error) {
	var virtuals, storages []string
	for _, place := range request.Places {
		virtuals = append(virtuals, string(place.VirtualStorage))
		storages = append(storages, string(place.Storage))
	}
	return query(ctx, s, claimAuditsSQL, arguments{
		"virtual_storages": virtuals, "storages": storages,
		"interval": milliseconds(request.Interval), "ttl": milliseconds(request.TTL),
		"limit": request.Limit,
	}, scanAudit)
}

func scanAudit(row pgx.CollectableRow) (coordinator.Audit, error) {
	var a coordinator.Audit
	err := row.Scan(&a.Repository, &a.Key.VirtualStorage, &a.Key.RelativePath, &a.ReplicaPath,
		&a.Storage, &a.Leads)
	if err != nil {
		return a, fmt.Errorf("scan replica: %w", err)
	}
	return a, nil
}

// EndAudit implements [coordinator.Auditor].
func (s *Store) EndAudit(
	ctx context.Context, audit coordinator.Audit, end coordinator.AuditEnd,
) error {
	return s.execute(ctx, endAuditSQL, arguments{
		"id": int64(audit.Repository), "storage": string(audit.Storage),
		"found": end.Found, "pause": milliseconds(end.Pause),
	})
}

// ReleaseAudits implements [coordinator.Auditor].
func (s *Store) ReleaseAudits(ctx context.Context, limit int) ([]coordinator.Audit, error) {
	return query(ctx, s, releaseAuditsSQL, arguments{"limit": limit}, scanAudit)
}

// LoseReplica implements [coordinator.Auditor].
func (s *Store) LoseReplica(
	ctx context.Context, loss coordinator.Loss,
) (coordinator.Repository, error) {
	done, after, err := changeAndLoad(ctx, s, loss.Repository, statement{
		loseReplicaSQL, arguments{
			"id": int64(loss.Repository), "write": int64(loss.Write),
			"storage": string(loss.Storage), "primary": string(loss.Primary),
		},
	}, pgx.RowTo[bool])
	if err != nil {
		return coordinator.Repository{}, err
	}
	if !done {
		return coordinator.Repository{}, coordinator.ErrSuperseded
	}
	return after, nil
}

// CountSweep implements [coordinator.Auditor].
func (s *Store) CountSweep(ctx context.Context, id coordinator.RepositoryID) (int, error) {
	counted, err := query(ctx, s, countSweepSQL, arguments{"id": int64(id)}, pgx.RowTo[int])
	switch {
	case err != nil:
		return 0, err
	case len(counted) == 0:
		return 0, coordinator.ErrRepositoryNotFound
	}
	return counted[0], nil
}
