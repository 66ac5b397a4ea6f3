package memory

import (
	"context"
	"slices"
	"time"

	"praefect/coordinator"
)

// verification is the comparison of a repository's replicas.
type verification struct {
	// dueAt is zero if none is due.
	dueAt time.Time
	// asked is raised by each request and each claim.
	asked    int64
	doubtful bool
	// begunAt is when it was claimed last.
	begunAt time.Time
}

func (v *verification) ask(delay time.Duration) {
	dueAt := time.Now().Add(delay)
	if v.dueAt.IsZero() || v.dueAt.After(dueAt) {
		v.dueAt = dueAt
	}
	v.asked++
}

// ScheduleVerification implements [coordinator.Verifier].
func (s *Store) ScheduleVerification(
	ctx context.Context, id coordinator.RepositoryID, delay time.Duration,
) error {
	if err := alive(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.repositories[id]
	if !ok {
		return coordinator.ErrRepositoryNotFound
	}
	found.verification.ask(delay)
	return nil
}

// ClaimVerifications implements [coordinator.Verifier].
func (s *Store) ClaimVerifications(
	ctx context.Context, limit int, ttl time.Duration,
) ([]coordinator.Verification, error) {
	if err := alive(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var due []*repository
	for _, found := range s.repositories {
		at := found.verification.dueAt
		if found.State == coordinator.StateReady && !at.IsZero() && !at.After(now) {
			due = append(due, found)
		}
	}
	slices.SortFunc(due, byTime(func(r *repository) time.Time { return r.verification.dueAt }))
	var claimed []coordinator.Verification
	for _, found := range due[:min(limit, len(due))] {
		v := &found.verification
		v.asked++
		v.begunAt, v.dueAt = now, now.Add(ttl)
		claimed = append(claimed, coordinator.Verification{
			Repository: found.snapshot(), Asked: v.asked, Doubtful: v.doubtful,
		})
	}
	return claimed, nil
}

// Verified implements [coordinator.Verifier]. Replicas that were still settling when the
// comparison began are compared again.
func (s *Store) Verified(
	ctx context.Context, verified coordinator.Verification,
) error {
	if err := alive(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.repositories[verified.Repository.ID]
	if !ok || found.verification.asked != verified.Asked {
		return nil
	}
	v := &found.verification
	v.dueAt = time.Time{}
	for _, replica := range found.replicas {
		if replica.settlesAt.After(v.begunAt) && replica.settlesAt.After(v.dueAt) {
			v.dueAt = replica.settlesAt
		}
	}
	v.doubtful = !v.dueAt.IsZero()
	return nil
}
