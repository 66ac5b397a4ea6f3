package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"praefect/coordinator"
)

// audited is a replica that may be looked for.
type audited struct {
	coordinator.Audit
	replica *replica
}

// ClaimAudits implements [coordinator.Auditor].
func (s *Store) ClaimAudits(
	ctx context.Context, request coordinator.AuditRequest,
) ([]coordinator.Audit, error) {
	if err := alive(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var due []audited
	for _, place := range request.Places {
		for _, found := range s.audits(place) {
			late := !found.replica.verifiedAt.After(now.Add(-request.Interval))
			if late && found.replica.generation >= 0 && found.replica.leasedUntil.IsZero() &&
				!found.replica.claimEnds.After(now) {
				due = append(due, found)
			}
		}
	}
	slices.SortFunc(due, func(a, b audited) int {
		return cmp.Or(a.replica.verifiedAt.Compare(b.replica.verifiedAt),
			cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Storage, b.Storage))
	})
	due = due[:min(len(due), request.Limit)]
	for _, found := range due {
		found.replica.leasedUntil = now.Add(request.TTL)
	}
	return sorted(due), nil
}

// audits lists the replicas of visible repositories on a storage.
func (s *Store) audits(place coordinator.Place) []audited {
	var list []audited
	for _, found := range s.repositories {
		replica := found.replicas[place.Storage]
		if replica != nil && found.State == coordinator.StateReady &&
			found.Key.VirtualStorage == place.VirtualStorage {
			list = append(list, found.audit(place.Storage))
		}
	}
	return list
}

func (r *repository) audit(storage coordinator.Storage) audited {
	return audited{coordinator.Audit{
		Repository: r.ID, Key: r.Key, ReplicaPath: r.ReplicaPath, Storage: storage,
		Leads: r.Primary == storage,
	}, r.replicas[storage]}
}

func sorted(found []audited) []coordinator.Audit {
	list := make([]coordinator.Audit, 0, len(found))
	for _, one := range found {
		list = append(list, one.Audit)
	}
	slices.SortFunc(list, func(a, b coordinator.Audit) int {
		return cmp.Or(cmp.Compare(a.Key.RelativePath, b.Key.RelativePath),
			cmp.Compare(a.Storage, b.Storage))
	})
	return list
}

// EndAudit implements [coordinator.Auditor].
func (s *Store) EndAudit(
	ctx context.Context, audit coordinator.Audit, end coordinator.AuditEnd,
) error {
	if err := alive(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.repositories[audit.Repository]
	if found == nil || found.replicas[audit.Storage] == nil ||
		found.replicas[audit.Storage].leasedUntil.IsZero() {
		return nil
	}
	replica := found.replicas[audit.Storage]
	replica.leasedUntil = time.Time{}
	if end.Pause > 0 {
		replica.leasedUntil = time.Now().Add(end.Pause)
	}
	if end.Found {
		replica.verifiedAt = time.Now()
	}
	return nil
}

// ReleaseAudits implements [coordinator.Auditor].
func (s *Store) ReleaseAudits(ctx context.Context, limit int) ([]coordinator.Audit, error) {
	if err := alive(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var released []audited
	for _, found := range s.repositories {
		for storage, replica := range found.replicas {
			over := !replica.leasedUntil.IsZero() && !replica.leasedUntil.After(time.Now())
			if over && len(released) < limit {
				replica.leasedUntil = time.Time{}
				released = append(released, found.audit(storage))
			}
		}
	}
	return sorted(released), nil
}

// LoseReplica implements [coordinator.Auditor].
func (s *Store) LoseReplica(
	ctx context.Context, loss coordinator.Loss,
) (coordinator.Repository, error) {
	if err := alive(ctx); err != nil {
		return coordinator.Repository{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.ready(loss.Repository)
	if found == nil || !found.turn.owned(loss.Write) || !found.spares(loss) {
		return coordinator.Repository{}, coordinator.ErrSuperseded
	}
	if found.Primary == loss.Storage {
		found.Primary = loss.Primary
		found.Epoch++
	}
	lost := found.replicas[loss.Storage]
	lost.generation, lost.joining = coordinator.Absent, false
	lost.verifiedAt, lost.leasedUntil, lost.dueAt = time.Time{}, time.Time{}, time.Time{}
	found.due(lost, 0)
	if !lost.assigned {
		delete(found.replicas, loss.Storage)
	}
	s.end(found)
	s.invalidate(found)
	return found.snapshot(), nil
}

// spares says that the repository can do without a replica.
func (r *repository) spares(loss coordinator.Loss) bool {
	lost := r.replicas[loss.Storage]
	if lost == nil || lost.claimEnds.After(time.Now()) {
		return false
	}
	for storage := range r.replicas {
		if storage != loss.Storage && r.current(storage) &&
			(r.Primary != loss.Storage || storage == loss.Primary) {
			return true
		}
	}
	return false
}

// CountSweep implements [coordinator.Auditor].
func (s *Store) CountSweep(ctx context.Context, id coordinator.RepositoryID) (int, error) {
	if err := alive(ctx); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.repositories[id]
	if found == nil {
		return 0, coordinator.ErrRepositoryNotFound
	}
	found.sweeps++
	return found.sweeps, nil
}
