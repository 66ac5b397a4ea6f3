package memory

import (
	"cmp"
	"context"
	"slices"

	"praefect/coordinator"
)

// turn is a held turn.
type turn struct {
	coordinator.Intent
	// place orders turns by their beginning.
	place int64
	// wanted says that somebody waits, marked that it is left to recovery.
	wanted, marked bool
	// ended are participants that do nothing any more for the write.
	ended []coordinator.Storage
	// adopter is 0 and adoption counts up.
	adopter  coordinator.Incarnation
	adoption int64
}

// owned says that the turn is still in the hands of whoever opened it for the write.
func (t *turn) owned(write coordinator.WriteID) bool {
	return t != nil && t.Write == write && !t.marked && t.adopter == 0
}

// OpenTurn implements [coordinator.Turns].
func (s *Store) OpenTurn(
	ctx context.Context, intent coordinator.Intent,
) (coordinator.Repository, error) {
	if err := alive(ctx); err != nil {
		return coordinator.Repository{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.ready(intent.Repository)
	switch {
	case !s.lives(intent.Incarnation):
		return coordinator.Repository{}, coordinator.ErrLeaseLost
	case found == nil:
		return coordinator.Repository{}, coordinator.ErrRepositoryNotFound
	case found.turn.owned(intent.Write) && found.turn.Incarnation == intent.Incarnation:
		return found.snapshot(), nil
	case found.turn != nil:
		if !found.turn.wanted {
			found.turn.wanted = true
			s.notify(coordinator.NoticeTurnWanted, found.ID)
		}
		return coordinator.Repository{}, coordinator.ErrTurnTaken
	}
	s.turns++
	found.turn = &turn{Intent: intent, place: s.turns}
	found.turn.Participants = slices.Clone(intent.Participants)
	return found.snapshot(), nil
}

// Holdings implements [coordinator.Turns].
func (s *Store) Holdings(
	ctx context.Context, incarnation coordinator.Incarnation,
) ([]coordinator.Holding, error) {
	if err := alive(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []coordinator.Holding
	for _, repository := range s.repositories {
		held := repository.turn
		if held != nil && held.Incarnation == incarnation && held.owned(held.Write) {
			found = append(found, coordinator.Holding{
				Kind: coordinator.HoldingTurn, Repository: repository.ID, Write: held.Write,
			})
		}
		if repository.State == coordinator.StateCreating && repository.creator == incarnation {
			found = append(found, coordinator.Holding{
				Kind: coordinator.HoldingCreation, Repository: repository.ID,
			})
		}
	}
	for _, made := range s.announcements {
		if made.Incarnation == incarnation {
			found = append(found, coordinator.Holding{
				Kind: coordinator.HoldingAnnouncement, Repository: made.Repository,
				Write: made.Write,
			})
		}
	}
	slices.SortFunc(found, func(a, b coordinator.Holding) int {
		return cmp.Or(cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Write, b.Write))
	})
	return found, nil
}

// CloseTurn implements [coordinator.Turns].
func (s *Store) CloseTurn(
	ctx context.Context, id coordinator.RepositoryID, write coordinator.WriteID,
) (bool, error) {
	if err := alive(ctx); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.repositories[id]
	if !ok || !found.turn.owned(write) {
		return false, nil
	}
	return s.end(found), nil
}

// end removes the intent and says whether somebody waits for that.
func (s *Store) end(found *repository) bool {
	wanted := found.turn != nil && found.turn.wanted
	found.turn = nil
	if wanted {
		s.notify(coordinator.NoticeTurnFree, found.ID)
	}
	return wanted
}

// MarkTurn implements [coordinator.Turns].
func (s *Store) MarkTurn(
	ctx context.Context, id coordinator.RepositoryID, write coordinator.WriteID,
	ended []coordinator.Storage,
) error {
	if err := alive(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.repositories[id]
	if !ok || found.turn == nil || found.turn.Write != write {
		return nil
	}
	found.turn.marked = true
	for _, storage := range ended {
		if !slices.Contains(found.turn.ended, storage) {
			found.turn.ended = append(found.turn.ended, storage)
		}
	}
	s.notify(coordinator.NoticeTurnLeft, id)
	return nil
}
