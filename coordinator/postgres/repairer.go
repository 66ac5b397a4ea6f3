package postgres

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"

	"praefect/coordinator"
)

// ClaimRepairs implements [coordinator.Repairer].
func (s *Store) ClaimRepairs(
	ctx context.Context, request coordinator.RepairRequest,
) ([]coordinator.RepairClaim, error) {
	var (
		virtualStorages, storages []string
		limits                    []int32
	)
	for _, target := range request.Targets {
		virtualStorages = append(virtualStorages, string(target.VirtualStorage))
		storages = append(storages, string(target.Storage))
		limits = append(limits, int32(target.Limit))
	}
	return query(ctx, s, claimRepairsSQL, arguments{
		"claim": int64(request.Claim), "ttl": milliseconds(request.TTL),
		"virtual_storages": virtualStorages, "storages": storages, "limits": limits,
	}, func(row pgx.CollectableRow) (coordinator.RepairClaim, error) {
		claim := coordinator.RepairClaim{ID: request.Claim}
		var overdue int64
		err := row.Scan(&claim.Repository, &claim.Key.VirtualStorage, &claim.Key.RelativePath,
			&claim.Storage, &claim.Failures, &claim.Settling, &overdue)
		if err != nil {
			return coordinator.RepairClaim{}, fmt.Errorf("scan claim: %w", err)
		}
		claim.Overdue = time.Duration(overdue) * time.Millisecond
		return claim, nil
	})
}

// RenewRepair implements [coordinator.Repairer].
func (s *Store) RenewRepair(
	ctx context.Context, claim coordinator.RepairClaim, ttl time.Duration,
) error {
	return s.claimed(ctx, renewRepairSQL, claim, arguments{"ttl": milliseconds(ttl)})
}

// JoinRepair implements [coordinator.Repairer].
func (s *Store) JoinRepair(ctx context.Context, claim coordinator.RepairClaim) error {
	return s.claimedInvalidating(ctx, joinRepairSQL, claim, nil)
}

// EmptyReplica implements [coordinator.Repairer].
func (s *Store) EmptyReplica(ctx context.Context, claim coordinator.RepairClaim) error {
	return s.claimed(ctx, emptyReplicaSQL, claim, nil)
}

// FinishRepair implements [coordinator.Repairer].
func (s *Store) FinishRepair(
	ctx context.Context, claim coordinator.RepairClaim, copied coordinator.Generation,
) error {
	return s.claimedInvalidating(ctx, finishRepairSQL, claim, arguments{"copied": int64(copied)})
}

// PostponeRepair implements [coordinator.Repairer].
func (s *Store) PostponeRepair(
	ctx context.Context, claim coordinator.RepairClaim, postponement coordinator.Postponement,
) error {
	return s.claimed(ctx, postponeRepairSQL, claim, arguments{
		"delay":   milliseconds(postponement.Delay),
		"failure": coordinator.Clip(postponement.Failure),
	})
}

// claimed runs a statement that changes a replica as long as the claim on it holds.
func (s *Store) claimed(
	ctx context.Context, text string, claim coordinator.RepairClaim, more arguments,
) error {
	return s.changed(ctx, text, claimArguments(claim, more), coordinator.ErrSuperseded)
}

// claimedInvalidating does the same behind the lock of the repository, and invalidates its routes.
func (s *Store) claimedInvalidating(
	ctx context.Context, text string, claim coordinator.RepairClaim, more arguments,
) error {
	changed, err := s.changedLocked(
		ctx, int64(claim.Repository), text+invalidateChangedSQL, claimArguments(claim, more),
	)
	if err == nil && !changed {
		return coordinator.ErrSuperseded
	}
	return err
}

func claimArguments(claim coordinator.RepairClaim, more arguments) arguments {
	parameters := arguments{
		"id": int64(claim.Repository), "storage": string(claim.Storage), "claim": int64(claim.ID),
	}
	maps.Copy(parameters, more)
	return parameters
}
