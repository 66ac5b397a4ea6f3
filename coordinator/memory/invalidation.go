package memory

import (
	"context"
	"time"

	"praefect/coordinator"
)

// noticesMax bounds the notices that wait for one listener; what comes on top is lost.
const noticesMax = 64

type invalidation struct {
	coordinator.Invalidation
	at time.Time
}

// invalidate notes that cached routes of a repository are not to be used any more.
func (s *Store) invalidate(found *repository) {
	s.last++
	found.Invalidated = s.last
	s.invalidations = append(s.invalidations, invalidation{
		Invalidation: coordinator.Invalidation{Sequence: s.last, Key: found.Key},
		at:           time.Now(),
	})
	s.notify(coordinator.NoticeInvalidated, 0)
}

// await returns the last invalidation of a repository if an incarnation that lives, other than the
// given one, has not acknowledged it, and 0 otherwise.
func (s *Store) await(
	found *repository, except coordinator.Incarnation,
) coordinator.Sequence {
	if s.acknowledged(except, found.Invalidated) {
		return 0
	}
	return found.Invalidated
}

func (s *Store) acknowledged(
	except coordinator.Incarnation, awaited coordinator.Sequence,
) bool {
	for incarnation, found := range s.proxies {
		if incarnation != except && s.lives(incarnation) && found.applied < awaited {
			return false
		}
	}
	return true
}

// Acknowledge implements [coordinator.Members].
func (s *Store) Acknowledge(
	ctx context.Context, acknowledgement coordinator.Acknowledgement,
) error {
	if err := alive(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.lives(acknowledgement.Incarnation) || !s.expected(acknowledgement.Timeline) {
		return coordinator.ErrLeaseLost
	}
	own := s.proxies[acknowledgement.Incarnation]
	own.applied = max(own.applied, acknowledgement.Applied)
	return nil
}

// Acknowledged implements [coordinator.Members].
func (s *Store) Acknowledged(
	ctx context.Context, incarnation coordinator.Incarnation, awaited coordinator.Sequence,
) (bool, error) {
	if err := alive(ctx); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acknowledged(incarnation, awaited), nil
}

// notify tells all listeners that have room.
func (s *Store) notify(kind coordinator.NoticeKind, id coordinator.RepositoryID) {
	for listener := range s.listeners {
		select {
		case listener <- coordinator.Notice{Kind: kind, Repository: id}:
		default:
		}
	}
}

// Listen implements [coordinator.Members].
func (s *Store) Listen(ctx context.Context, receive func(coordinator.Notice)) error {
	listener := make(chan coordinator.Notice, noticesMax)
	s.mu.Lock()
	s.listeners[listener] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, listener)
	}()
	for {
		select {
		case notice := <-listener:
			receive(notice)
		case <-ctx.Done():
			return nil
		}
	}
}
