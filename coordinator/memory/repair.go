package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"praefect/coordinator"
)

// candidate is a replica that is due for repair.
type candidate struct {
	repository *repository
	replica    *replica
	storage    coordinator.Storage
}

// ClaimRepairs implements [coordinator.Repairer].
func (s *Store) ClaimRepairs(
	ctx context.Context, request coordinator.RepairRequest,
) ([]coordinator.RepairClaim, error) {
	if err := alive(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var claims []coordinator.RepairClaim
	for _, target := range request.Targets {
		due := s.due(target, now)
		for _, found := range due[:min(target.Limit, len(due))] {
			claims = append(claims, coordinator.RepairClaim{
				ID: request.Claim, Repository: found.repository.ID, Key: found.repository.Key,
				Storage: found.storage, Failures: found.replica.failures,
				Settling: found.replica.settlesAt.After(now),
				Overdue:  now.Sub(found.replica.dueAt),
			})
			found.replica.claim = request.Claim
			found.replica.claimEnds = now.Add(request.TTL)
			found.replica.joining = false
		}
	}
	return claims, nil
}

// due lists what may be repaired on a storage, the most urgent first.
func (s *Store) due(target coordinator.RepairTarget, now time.Time) []candidate {
	var due []candidate
	for _, found := range s.repositories {
		replica, ok := found.replicas[target.Storage]
		if ok && found.Key.VirtualStorage == target.VirtualStorage &&
			found.State == coordinator.StateReady && !replica.dueAt.IsZero() &&
			!replica.dueAt.After(now) && !replica.claimEnds.After(now) &&
			(!replica.settlesAt.After(now) ||
				!coordinator.IsPoolReplicaPath(found.ReplicaPath)) {
			due = append(due, candidate{found, replica, target.Storage})
		}
	}
	slices.SortFunc(due, func(a, b candidate) int {
		return cmp.Or(
			cmp.Compare(a.repository.rank(), b.repository.rank()),
			a.replica.dueAt.Compare(b.replica.dueAt),
			cmp.Compare(a.repository.ID, b.repository.ID),
		)
	})
	return due
}

// rankMember puts everything else behind the pools.
const rankMember = 1000

// rank says how urgent repairs of the repository are, the lowest first.
func (r *repository) rank() int {
	rank := 0
	if !coordinator.IsPoolReplicaPath(r.ReplicaPath) {
		rank = rankMember
	}
	for _, replica := range r.replicas {
		if replica.generation == r.Generation {
			rank++
		}
	}
	return rank
}

// claimed returns the replica of a claim that still holds.
func (s *Store) claimed(
	ctx context.Context, claim coordinator.RepairClaim,
) (*repository, *replica, error) {
	if err := alive(ctx); err != nil {
		return nil, nil, err
	}
	found, ok := s.repositories[claim.Repository]
	if !ok {
		return nil, nil, coordinator.ErrSuperseded
	}
	replica, ok := found.replicas[claim.Storage]
	if !ok || replica.claim != claim.ID || !replica.claimEnds.After(time.Now()) {
		return nil, nil, coordinator.ErrSuperseded
	}
	return found, replica, nil
}

// RenewRepair implements [coordinator.Repairer].
func (s *Store) RenewRepair(
	ctx context.Context, claim coordinator.RepairClaim, ttl time.Duration,
) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, replica, err := s.claimed(ctx, claim)
	if err != nil {
		return err
	}
	if found.State != coordinator.StateReady {
		return coordinator.ErrSuperseded
	}
	replica.claimEnds = time.Now().Add(ttl)
	return nil
}

// JoinRepair implements [coordinator.Repairer].
func (s *Store) JoinRepair(ctx context.Context, claim coordinator.RepairClaim) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, replica, err := s.claimed(ctx, claim)
	if err != nil {
		return err
	}
	if found.State != coordinator.StateReady {
		return coordinator.ErrSuperseded
	}
	replica.joining = true
	s.invalidate(found)
	return nil
}

// EmptyReplica implements [coordinator.Repairer].
func (s *Store) EmptyReplica(ctx context.Context, claim coordinator.RepairClaim) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, replica, err := s.claimed(ctx, claim)
	if err != nil {
		return err
	}
	if found.State != coordinator.StateReady || replica.generation == found.Generation {
		return coordinator.ErrSuperseded
	}
	replica.generation = coordinator.Absent
	return nil
}

// FinishRepair implements [coordinator.Repairer].
func (s *Store) FinishRepair(
	ctx context.Context, claim coordinator.RepairClaim, copied coordinator.Generation,
) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, replica, err := s.claimed(ctx, claim)
	if err != nil {
		return err
	}
	if found.State != coordinator.StateReady || copied > found.Generation {
		return coordinator.ErrSuperseded
	}
	replica.generation = max(replica.generation, copied)
	replica.claimEnds, replica.joining = time.Time{}, false
	replica.dueAt = time.Now()
	if replica.generation == found.Generation {
		replica.forget()
	}
	s.invalidate(found)
	return nil
}

// PostponeRepair implements [coordinator.Repairer].
func (s *Store) PostponeRepair(
	ctx context.Context, claim coordinator.RepairClaim, postponement coordinator.Postponement,
) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, replica, err := s.claimed(ctx, claim)
	if err != nil {
		return err
	}
	// The claim's number stays, since the repair may have begun.
	replica.claimEnds, replica.joining = time.Time{}, false
	replica.dueAt = time.Now().Add(postponement.Delay)
	if postponement.Failure != "" {
		replica.failures++
		replica.lastError = postponement.Failure
	}
	return nil
}
