package memory

import (
	"context"
	"slices"
	"time"

	"praefect/coordinator"
)

// Record implements [coordinator.Recorder].
func (s *Store) Record(
	ctx context.Context, outcome coordinator.WriteOutcome,
) (coordinator.Recorded, error) {
	if err := alive(ctx); err != nil {
		return coordinator.Recorded{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.repositories[outcome.Repository]
	switch {
	case !ok || found.State == coordinator.StateDeleting:
		return coordinator.Recorded{}, coordinator.ErrSuperseded
	case found.lastWrite == outcome.Write && found.Generation == outcome.Base+1:
		return s.repeated(found, found.creator), nil
	case found.Epoch != outcome.Epoch || found.Generation != outcome.Base ||
		!found.keepsPrimary(outcome) || !found.open(outcome.Write):
		return coordinator.Recorded{}, coordinator.ErrSuperseded
	}
	return s.record(found, outcome), nil
}

// open says that a write may be recorded. A creation has no turn: nobody else knows of it.
func (r *repository) open(write coordinator.WriteID) bool {
	return r.State == coordinator.StateCreating || r.turn.owned(write)
}

func (s *Store) record(
	found *repository, outcome coordinator.WriteOutcome,
) coordinator.Recorded {
	own := found.creator
	if found.turn != nil {
		own = found.turn.Incarnation
	}
	recorded := found.record(outcome)
	if recorded.Shrunk || outcome.Primary != "" {
		s.invalidate(found)
	}
	recorded.Wanted = s.end(found)
	recorded.Await = s.await(found, own)
	return recorded
}

// keepsPrimary says whether the primary that a record leaves behind is raised by it.
func (r *repository) keepsPrimary(outcome coordinator.WriteOutcome) bool {
	primary := r.Primary
	if outcome.Primary != "" {
		primary = outcome.Primary
	}
	replica, ok := r.replicas[primary]
	return ok && replica.generation == outcome.Base && slices.Contains(outcome.Raise, primary)
}

func (r *repository) record(outcome coordinator.WriteOutcome) coordinator.Recorded {
	r.Generation = outcome.Base + 1
	r.lastWrite = outcome.Write
	if outcome.Primary != "" {
		r.Primary = outcome.Primary
		r.Epoch++
	}
	if outcome.Verify {
		r.verification.ask(0)
	}
	recorded := coordinator.Recorded{Generation: r.Generation, Epoch: r.Epoch}
	for storage, replica := range r.replicas {
		if replica.generation == outcome.Base && slices.Contains(outcome.Raise, storage) {
			replica.generation = r.Generation
			replica.forget()
			continue
		}
		recorded.Shrunk = recorded.Shrunk || replica.generation == outcome.Base
		recorded.RepairDue = r.due(replica, outcome.Delays[storage]) || recorded.RepairDue
	}
	return recorded
}

// Confirm implements [coordinator.Recorder].
func (s *Store) Confirm(ctx context.Context, late coordinator.LateConfirmation) (bool, error) {
	if err := alive(ctx); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.repositories[late.Repository]
	if !ok || found.State != coordinator.StateReady ||
		found.Epoch != late.Epoch || found.Generation != late.Generation {
		return false, nil
	}
	replica, ok := found.replicas[late.Storage]
	if !ok || replica.generation != late.Generation-1 || replica.claim != 0 {
		return false, nil
	}
	replica.generation = late.Generation
	replica.forget()
	s.invalidate(found)
	return true, nil
}

// HastenRepair implements [coordinator.Recorder].
func (s *Store) HastenRepair(
	ctx context.Context, id coordinator.RepositoryID,
	delays map[coordinator.Storage]time.Duration,
) error {
	if err := alive(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.repositories[id]
	if !ok {
		return nil
	}
	for storage, delay := range delays {
		replica, ok := found.replicas[storage]
		if !ok || replica.dueAt.IsZero() || replica.claim != 0 {
			continue
		}
		replica.dueAt = time.Now().Add(delay)
	}
	return nil
}

// Elect implements [coordinator.Recorder].
func (s *Store) Elect(
	ctx context.Context, election coordinator.Election,
) (coordinator.Repository, error) {
	if err := alive(ctx); err != nil {
		return coordinator.Repository{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.ready(election.Repository)
	switch {
	case found == nil:
		return coordinator.Repository{}, coordinator.ErrRepositoryNotFound
	case !found.turn.owned(election.Write):
		return coordinator.Repository{}, coordinator.ErrSuperseded
	}
	s.end(found)
	if found.Epoch == election.Epoch && found.current(election.Candidate) {
		found.Primary = election.Candidate
		found.Epoch++
		s.invalidate(found)
	}
	return found.snapshot(), nil
}
