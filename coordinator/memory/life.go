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
		dueAt:    time.Now().Add(creation.TTL),
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

// RenewCreations implements [coordinator.Creator].
func (s *Store) RenewCreations(
	ctx context.Context, ids []coordinator.RepositoryID, ttl time.Duration,
) error {
	if err := alive(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		found, ok := s.repositories[id]
		if ok && found.State == coordinator.StateCreating {
			found.dueAt = time.Now().Add(ttl)
		}
	}
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
	for _, replica := range found.replicas {
		if replica.generation != found.Generation {
			found.due(replica, 0)
		}
	}
	return nil
}

// Delete implements [coordinator.Remover].
func (s *Store) Delete(
	ctx context.Context, id coordinator.RepositoryID, grace time.Duration,
) (coordinator.Repository, error) {
	if err := alive(ctx); err != nil {
		return coordinator.Repository{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.repositories[id]
	if !ok || found.State == coordinator.StateDeleting {
		return coordinator.Repository{}, coordinator.ErrRepositoryNotFound
	}
	found.State = coordinator.StateDeleting
	found.dueAt = time.Now().Add(grace)
	return found.snapshot(), nil
}

// ClaimRemovals implements [coordinator.Remover].
func (s *Store) ClaimRemovals(
	ctx context.Context, limit int, ttl time.Duration,
) ([]coordinator.Repository, error) {
	if err := alive(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var due []*repository
	for _, found := range s.repositories {
		if found.State != coordinator.StateReady && !found.dueAt.After(now) {
			due = append(due, found)
		}
	}
	slices.SortFunc(due, func(a, b *repository) int { return a.dueAt.Compare(b.dueAt) })
	var claimed []coordinator.Repository
	for _, found := range due[:min(limit, len(due))] {
		found.State = coordinator.StateDeleting
		found.dueAt = now.Add(ttl)
		claimed = append(claimed, found.snapshot())
	}
	return claimed, nil
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
	for _, storage := range storages {
		replica, ok := found.replicas[storage]
		if ok && !replica.claimEnds.After(time.Now()) {
			delete(found.replicas, storage)
		}
	}
	if len(found.replicas) == 0 {
		delete(s.repositories, id)
	}
	return nil
}
