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

// OpenTurns implements [coordinator.Turns].
func (s *Store) OpenTurns(
	ctx context.Context, incarnation coordinator.Incarnation,
) ([]coordinator.Intent, error) {
	if err := alive(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var open []coordinator.Intent
	for _, found := range s.repositories {
		held := found.turn
		if held != nil && held.Incarnation == incarnation && held.owned(held.Write) {
			open = append(open, coordinator.Intent{
				Write: held.Write, Repository: found.ID, Incarnation: incarnation,
			})
		}
	}
	slices.SortFunc(open, func(a, b coordinator.Intent) int {
		return cmp.Compare(a.Repository, b.Repository)
	})
	return open, nil
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
