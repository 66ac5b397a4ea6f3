package memory

import (
	"context"
	"slices"
	"time"

	"praefect/coordinator"
)

// Deficient implements [coordinator.Operator].
func (s *Store) Deficient(
	ctx context.Context, window coordinator.Window,
) ([]coordinator.Repository, string, error) {
	paths, err := s.Paths(ctx, window.Page)
	if err != nil || len(paths) == 0 {
		return nil, "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := map[coordinator.RepositoryID]coordinator.Repository{}
	for id, repository := range s.repositories {
		if repository.Key.VirtualStorage == window.VirtualStorage &&
			slices.Contains(paths, repository.Key.RelativePath) &&
			repository.State == coordinator.StateReady && repository.deficient(window) {
			found[id] = repository.snapshot()
		}
	}
	next := ""
	if len(paths) == window.Limit {
		next = paths[len(paths)-1]
	}
	return coordinator.ByPath(found), next, nil
}

func (r *repository) deficient(window coordinator.Window) bool {
	available := false
	for storage, replica := range r.replicas {
		good := replica.generation == r.Generation && slices.Contains(window.Healthy, storage)
		if !good && replica.assigned && slices.Contains(window.Configured, storage) {
			return true
		}
		available = available || good
	}
	return !available
}

// Assign implements [coordinator.Operator].
func (s *Store) Assign(
	ctx context.Context, assignment coordinator.Assignment,
) (coordinator.Repository, error) {
	if err := alive(ctx); err != nil {
		return coordinator.Repository{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.ready(assignment.Repository)
	switch {
	case found == nil:
		return coordinator.Repository{}, coordinator.ErrRepositoryNotFound
	case !found.turn.owned(assignment.Write) ||
		!slices.Contains(assignment.Assigned, found.Primary):
		return coordinator.Repository{}, coordinator.ErrSuperseded
	}
	found.assign(assignment)
	s.end(found)
	s.invalidate(found)
	return found.snapshot(), nil
}

func (r *repository) assign(assignment coordinator.Assignment) {
	r.everywhere = assignment.Everywhere
	for _, storage := range assignment.Assigned {
		if r.replicas[storage] == nil {
			r.replicas[storage] = &replica{generation: coordinator.Absent}
		}
	}
	for storage, replica := range r.replicas {
		if !slices.Contains(assignment.Configured, storage) {
			continue
		}
		before := replica.assigned
		replica.assigned = slices.Contains(assignment.Assigned, storage)
		if !before || !replica.assigned {
			replica.filling = replica.assigned && replica.generation < r.Generation
		}
		if !replica.assigned {
			replica.dueAt = time.Time{}
		} else if replica.generation < r.Generation {
			r.due(replica, 0)
		}
	}
}

// Appoint implements [coordinator.Operator].
func (s *Store) Appoint(
	ctx context.Context, appointment coordinator.Appointment,
) (coordinator.Repository, error) {
	if err := alive(ctx); err != nil {
		return coordinator.Repository{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.ready(appointment.Repository)
	if found == nil {
		return coordinator.Repository{}, coordinator.ErrRepositoryNotFound
	}
	chosen, ok := found.replicas[appointment.Storage]
	switch {
	case !ok || chosen.generation == coordinator.Absent && !appointment.Absent:
		return coordinator.Repository{}, coordinator.ErrNoReplica
	case chosen.claimEnds.After(time.Now()):
		return coordinator.Repository{}, coordinator.ErrBusy
	case !s.breakable(found, appointment.Write):
		return coordinator.Repository{}, coordinator.ErrTurnTaken
	}
	if found.turn != nil && found.turn.Write != appointment.Write {
		found.unsettle(appointment.Settle)
	}
	found.appoint(appointment.Storage)
	s.end(found)
	s.invalidate(found)
	return found.snapshot(), nil
}

// breakable says that the turn is free, the caller's, or left to recovery.
func (s *Store) breakable(found *repository, write coordinator.WriteID) bool {
	held := found.turn
	return held == nil || held.Write == write || held.marked || held.adopter != 0 ||
		!s.lives(held.Incarnation)
}

// unsettle notes that participants of a broken turn may still act.
func (r *repository) unsettle(settle time.Duration) {
	until := time.Now().Add(settle)
	for _, storage := range r.turn.Participants {
		replica, ok := r.replicas[storage]
		if ok && !slices.Contains(r.turn.ended, storage) && replica.settlesAt.Before(until) {
			replica.settlesAt = until
		}
	}
	r.verification.ask(settle)
	r.verification.doubtful = true
}

func (r *repository) appoint(storage coordinator.Storage) {
	r.Generation++
	r.Epoch++
	r.Primary = storage
	r.lastWrite = 0
	for name, replica := range r.replicas {
		if name == storage {
			replica.generation = r.Generation
			replica.forget()
			continue
		}
		replica.joining, replica.failures, replica.lastError = false, 0, ""
		r.due(replica, 0)
	}
}

// Track implements [coordinator.Operator].
func (s *Store) Track(ctx context.Context, tracking coordinator.Tracking) error {
	if err := alive(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, found := range s.repositories {
		if found.rivals(tracking) {
			return coordinator.ErrRepositoryExists
		}
	}
	s.repositories[tracking.ID] = track(tracking)
	return nil
}

// rivals says that the repository has the identity, the key or the place that another is to get.
func (r *repository) rivals(tracking coordinator.Tracking) bool {
	return r.ID == tracking.ID ||
		r.Key == tracking.Key && r.State != coordinator.StateDeleting ||
		r.ReplicaPath == tracking.ReplicaPath &&
			r.Key.VirtualStorage == tracking.Key.VirtualStorage
}

func track(tracking coordinator.Tracking) *repository {
	tracked := &repository{
		Repository: coordinator.Repository{
			ID: tracking.ID, Key: tracking.Key, ReplicaPath: tracking.ReplicaPath,
			State: coordinator.StateReady, Primary: tracking.Primary, Epoch: 1,
		},
		replicas: map[coordinator.Storage]*replica{}, everywhere: tracking.Everywhere,
	}
	for _, storage := range tracking.Present {
		tracked.replicas[storage] = &replica{}
	}
	for _, storage := range tracking.Assigned {
		if tracked.replicas[storage] == nil {
			tracked.replicas[storage] = &replica{
				generation: coordinator.Absent, filling: true,
			}
		}
		tracked.replicas[storage].assigned = true
		if tracked.replicas[storage].generation < 0 {
			tracked.due(tracked.replicas[storage], 0)
		}
	}
	return tracked
}

// Forget implements [coordinator.Operator].
func (s *Store) Forget(ctx context.Context, key coordinator.Key) error {
	if err := alive(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, found := range s.repositories {
		if found.Key != key || found.State != coordinator.StateReady {
			continue
		}
		if !s.breakable(found, 0) {
			return coordinator.ErrTurnTaken
		}
		s.end(found)
		s.invalidate(found)
		delete(s.repositories, id)
		return nil
	}
	return coordinator.ErrRepositoryNotFound
}

// Untracked implements [coordinator.Operator].
func (s *Store) Untracked(
	ctx context.Context, place coordinator.Place, replicaPaths []string,
) ([]string, error) {
	if err := alive(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known := map[string]bool{}
	for _, found := range s.repositories {
		if found.Key.VirtualStorage == place.VirtualStorage &&
			found.replicas[place.Storage] != nil {
			known[found.ReplicaPath] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(replicaPaths), func(path string) bool {
		return known[path]
	}), nil
}

// Unverify implements [coordinator.Operator].
func (s *Store) Unverify(
	ctx context.Context, selection coordinator.Selection, limit int,
) (int64, error) {
	if err := alive(ctx); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	count := 0
	for _, found := range s.repositories {
		for storage, replica := range found.replicas {
			if count == limit {
				break
			}
			if !replica.verifiedAt.IsZero() && found.selected(selection, storage) {
				replica.verifiedAt = time.Time{}
				count++
			}
		}
	}
	return int64(count), nil
}

// selected says that the selection covers the replica on a storage.
func (r *repository) selected(
	selection coordinator.Selection, storage coordinator.Storage,
) bool {
	return (selection.Repository == 0 || selection.Repository == r.ID) &&
		(selection.VirtualStorage == "" || selection.VirtualStorage == r.Key.VirtualStorage) &&
		(selection.Storage == "" || selection.Storage == storage)
}
