package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"praefect/coordinator"
)

// Announce implements [coordinator.Announcer].
func (s *Store) Announce(ctx context.Context, announcement coordinator.Announcement) error {
	if err := alive(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.lives(announcement.Incarnation):
		return coordinator.ErrLeaseLost
	case s.ready(announcement.Repository) == nil:
		return coordinator.ErrRepositoryNotFound
	}
	announcement.Participants = slices.Clone(announcement.Participants)
	s.announcements[announcement.Write] = announcement
	return nil
}

// Withdraw implements [coordinator.Announcer].
func (s *Store) Withdraw(ctx context.Context, withdrawal coordinator.Withdrawal) error {
	if err := alive(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.announcements, withdrawal.Write)
	found, ok := s.repositories[withdrawal.Repository]
	switch {
	case !ok || !withdrawal.Compare:
	case withdrawal.Doubtful:
		found.doubt(withdrawal.Settling)
	default:
		found.verification.ask(0)
	}
	return nil
}

// AdoptAnnouncements implements [coordinator.Announcer].
func (s *Store) AdoptAnnouncements(
	ctx context.Context, limit int, settle time.Duration,
) (int, error) {
	if err := alive(ctx); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	orphans := map[coordinator.RepositoryID][]coordinator.Announcement{}
	for _, announcement := range s.announcements {
		if !s.lives(announcement.Incarnation) {
			id := announcement.Repository
			orphans[id] = append(orphans[id], announcement)
		}
	}
	var found []*repository
	for id, announcements := range orphans {
		if repository, ok := s.repositories[id]; ok {
			found = append(found, repository)
			continue
		}
		s.forgetAnnouncements(announcements)
	}
	slices.SortFunc(found, func(a, b *repository) int { return cmp.Compare(a.ID, b.ID) })
	found = found[:min(limit, len(found))]
	for _, repository := range found {
		for _, announcement := range orphans[repository.ID] {
			repository.doubt(coordinator.Settling{
				Storages: announcement.Participants, For: settle,
			})
		}
		s.forgetAnnouncements(orphans[repository.ID])
	}
	return len(found), nil
}

// Announced implements [coordinator.Announcer].
func (s *Store) Announced(ctx context.Context, id coordinator.RepositoryID) (bool, error) {
	if err := alive(ctx); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, announcement := range s.announcements {
		if announcement.Repository == id {
			return true, nil
		}
	}
	return false, nil
}

func (s *Store) forgetAnnouncements(announcements []coordinator.Announcement) {
	for _, announcement := range announcements {
		delete(s.announcements, announcement.Write)
	}
}

// doubt has replicas compared at once, and again when the nodes that are given do nothing any more.
func (r *repository) doubt(settling coordinator.Settling) {
	r.settle(settling)
	r.verification.ask(0)
	r.verification.doubtful = true
}
