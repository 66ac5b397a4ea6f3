package memory

import (
	"context"
	"slices"
	"time"

	"praefect/coordinator"
)

// Create implements [coordinator.Creator].
func (s *Store) Create(ctx context.Context, creation coordinator.Creation) error {
	if err := alive(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.lives(creation.Incarnation) {
		return coordinator.ErrLeaseLost
	}
	for _, found := range s.repositories {
		if found.Key == creation.Key && found.State != coordinator.StateDeleting {
			return coordinator.ErrRepositoryExists
		}
	}
	created := &repository{
		Repository: coordinator.Repository{
			ID: creation.ID, Key: creation.Key, ReplicaPath: creation.ReplicaPath,
			State: coordinator.StateCreating, Primary: creation.Primary, Epoch: 1,
		},
		replicas: map[coordinator.Storage]*replica{},
		creator:  creation.Incarnation, everywhere: creation.Everywhere,
	}
	for _, storage := range creation.Assigned {
		created.replicas[storage] = &replica{generation: coordinator.Absent, assigned: true}
	}
	for _, storage := range creation.Participants {
		created.replicas[storage] = &replica{
			assigned: slices.Contains(creation.Assigned, storage),
		}
	}
	s.repositories[creation.ID] = created
	return nil
}

// Complete implements [coordinator.Creator].
func (s *Store) Complete(ctx context.Context, id coordinator.RepositoryID) error {
	if err := alive(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.repositories[id]
	if !ok || found.State == coordinator.StateDeleting {
		return coordinator.ErrSuperseded
	}
	found.State = coordinator.StateReady
	found.creator = 0
	for _, replica := range found.replicas {
		if replica.generation != found.Generation {
			found.due(replica, 0)
		}
	}
	return nil
}

// Delete implements [coordinator.Remover].
func (s *Store) Delete(
	ctx context.Context, deletion coordinator.Deletion,
) (coordinator.Repository, error) {
	if err := alive(ctx); err != nil {
		return coordinator.Repository{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.repositories[deletion.Repository]
	switch {
	case !ok || found.State == coordinator.StateDeleting:
		return coordinator.Repository{}, coordinator.ErrRepositoryNotFound
	case found.State == coordinator.StateReady && !found.turn.owned(deletion.Write):
		return coordinator.Repository{}, coordinator.ErrSuperseded
	case found.State == coordinator.StateCreating && deletion.Write != 0:
		return coordinator.Repository{}, coordinator.ErrSuperseded
	}
	s.end(found)
	found.leave(deletion.Keep)
	found.dueAt = time.Now().Add(deletion.Grace)
	s.invalidate(found)
	return found.snapshot(), nil
}

// leave makes a repository one to be removed. It is kept until its nodes do nothing any more.
func (r *repository) leave(keep time.Duration) {
	now := time.Now()
	r.State = coordinator.StateDeleting
	until := now.Add(keep)
	for _, replica := range r.replicas {
		if replica.settlesAt.After(until) {
			until = replica.settlesAt
		}
	}
	if until.After(now) {
		r.keptUntil = until
	}
}

// ClaimRemovals implements [coordinator.Remover].
func (s *Store) ClaimRemovals(
	ctx context.Context, request coordinator.RemovalRequest,
) ([]coordinator.Repository, error) {
	if err := alive(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var due []*repository
	for _, found := range s.repositories {
		if s.removable(found, now) {
			due = append(due, found)
		}
	}
	slices.SortFunc(due, byTime(func(r *repository) time.Time { return r.dueAt }))
	var claimed []coordinator.Repository
	for _, found := range due[:min(request.Limit, len(due))] {
		if found.State == coordinator.StateCreating {
			found.leave(request.Keep)
		}
		found.endRepairs(now, request.Keep)
		found.claimRemoval(now, request.TTL)
		claimed = append(claimed, found.snapshot())
	}
	return claimed, nil
}

func (s *Store) removable(found *repository, now time.Time) bool {
	if found.State == coordinator.StateCreating {
		return !s.lives(found.creator)
	}
	return found.State == coordinator.StateDeleting && !found.dueAt.After(now)
}

// endRepairs ends what was claimed before the repository was left, and keeps the repository until
// no node is at work for it.
func (r *repository) endRepairs(now time.Time, keep time.Duration) {
	for _, replica := range r.replicas {
		if replica.claim == 0 {
			continue
		}
		replica.claim = 0
		until := now.Add(keep)
		if replica.claimEnds.After(now) {
			until = replica.claimEnds.Add(keep)
		}
		if until.After(r.keptUntil) {
			r.keptUntil = until
		}
	}
}

// claimRemoval leaves the removal to a worker. Only what is removed from now on counts once the
// time is over in which a node may be at work.
func (r *repository) claimRemoval(now time.Time, ttl time.Duration) {
	r.dueAt = now.Add(ttl)
	switch {
	case r.keptUntil.IsZero():
	case !r.keptUntil.After(now):
		r.keptUntil = time.Time{}
	case r.keptUntil.Before(r.dueAt):
		r.dueAt = r.keptUntil
	}
}

// Removed implements [coordinator.Remover].
func (s *Store) Removed(
	ctx context.Context, id coordinator.RepositoryID, storages []coordinator.Storage,
) error {
	if err := alive(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.repositories[id]
	if !ok || found.State != coordinator.StateDeleting {
		return nil
	}
	switch left := found.removed(storages); {
	case left > 0:
	case found.keptUntil.IsZero():
		delete(s.repositories, id)
	default:
		found.dueAt = found.keptUntil
	}
	return nil
}

// removed forgets replicas unless the repository is kept, and says how many may be on disks still.
func (r *repository) removed(storages []coordinator.Storage) int {
	left := 0
	for storage, replica := range r.replicas {
		switch {
		case replica.claimEnds.After(time.Now()) || !slices.Contains(storages, storage),
			replica.claim != 0 && r.keptUntil.IsZero():
			left++
		case r.keptUntil.IsZero():
			delete(r.replicas, storage)
		}
	}
	return left
}
