package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"praefect/coordinator"
)

const (
	// keptAfterEnd is how long a proxy that has ended is remembered.
	keptAfterEnd = 10 * time.Minute
	// keptInvalidation is how long an invalidation is kept that everybody has applied.
	keptInvalidation = time.Minute
	// invalidationsMax bounds the answer to a renewal.
	invalidationsMax = 1000
)

// proxy is an incarnation. It has ended when endsAt is past.
type proxy struct {
	name    string
	endsAt  time.Time
	applied coordinator.Sequence
	// healthy is nil before the first report.
	healthy map[coordinator.VirtualStorage][]coordinator.Storage
}

// lives says that an incarnation has not ended.
func (s *Store) lives(incarnation coordinator.Incarnation) bool {
	found, ok := s.proxies[incarnation]
	return ok && found.endsAt.After(time.Now())
}

// Enlist implements [coordinator.Members].
func (s *Store) Enlist(
	ctx context.Context, enlistment coordinator.Enlistment,
) (coordinator.Sequence, error) {
	if err := alive(ctx); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for incarnation, found := range s.proxies {
		left := enlistment.Replaces && found.name == enlistment.Name
		if incarnation != enlistment.Incarnation &&
			(left || slices.Contains(enlistment.Former, incarnation)) {
			s.endProxy(incarnation)
		}
	}
	found, again := s.proxies[enlistment.Incarnation]
	switch {
	case !again:
		found = &proxy{name: enlistment.Name, applied: s.last}
		s.proxies[enlistment.Incarnation] = found
	case !s.lives(enlistment.Incarnation):
		return 0, coordinator.ErrLeaseLost
	}
	found.endsAt = time.Now().Add(enlistment.TTL)
	return found.applied, nil
}

// endProxy ends an incarnation now, and tells that it has left its turns.
func (s *Store) endProxy(incarnation coordinator.Incarnation) {
	if !s.lives(incarnation) {
		return
	}
	s.proxies[incarnation].endsAt = time.Now()
	for _, found := range s.repositories {
		if found.turn != nil && !s.lives(cmp.Or(found.turn.adopter, found.turn.Incarnation)) {
			s.notify(coordinator.NoticeTurnLeft, found.ID)
		}
	}
}

// Renew implements [coordinator.Members].
func (s *Store) Renew(
	ctx context.Context, renewal coordinator.Renewal,
) (coordinator.Membership, error) {
	if err := alive(ctx); err != nil {
		return coordinator.Membership{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.expected(renewal.Timeline) {
		return coordinator.Membership{}, coordinator.ErrTimelineChanged
	}
	if !s.lives(renewal.Incarnation) {
		return coordinator.Membership{}, coordinator.ErrLeaseLost
	}
	own := s.proxies[renewal.Incarnation]
	own.endsAt = time.Now().Add(renewal.TTL)
	own.applied = max(own.applied, renewal.Applied)
	own.healthy = copied(renewal.Healthy)
	s.prune()
	return coordinator.Membership{
		Invalidations: s.after(renewal.Applied), Reports: s.reports(),
		Timeline: s.line(),
	}, nil
}

// line names the timeline.
func (s *Store) line() string { return fmt.Sprintf("%08d", s.timeline+1) }

// expected says whether a caller expects the timeline that there is.
func (s *Store) expected(by string) bool { return by == "" || by == s.line() }

// after returns the invalidations that follow.
func (s *Store) after(applied coordinator.Sequence) []coordinator.Invalidation {
	var list []coordinator.Invalidation
	for _, found := range s.invalidations {
		if found.Sequence > applied && len(list) < invalidationsMax {
			list = append(list, found.Invalidation)
		}
	}
	return list
}

func (s *Store) reports() []coordinator.Report {
	var reports []coordinator.Report
	for incarnation, found := range s.proxies {
		if s.lives(incarnation) && found.healthy != nil {
			reports = append(reports, coordinator.Report{
				Incarnation: incarnation, Name: found.name, Healthy: copied(found.healthy),
			})
		}
	}
	slices.SortFunc(reports, func(a, b coordinator.Report) int {
		return cmp.Compare(a.Incarnation, b.Incarnation)
	})
	return reports
}

func copied(
	healthy map[coordinator.VirtualStorage][]coordinator.Storage,
) map[coordinator.VirtualStorage][]coordinator.Storage {
	clone := map[coordinator.VirtualStorage][]coordinator.Storage{}
	for virtualStorage, storages := range healthy {
		clone[virtualStorage] = slices.Clone(storages)
	}
	return clone
}

// prune forgets what nobody asks for any more.
func (s *Store) prune() {
	applied := s.last
	for incarnation, found := range s.proxies {
		if s.lives(incarnation) {
			applied = min(applied, found.applied)
		}
	}
	now := time.Now()
	s.invalidations = slices.DeleteFunc(s.invalidations, func(i invalidation) bool {
		return i.Sequence <= applied && now.Sub(i.at) > keptInvalidation
	})
	owners := map[coordinator.Incarnation]bool{}
	for _, found := range s.repositories {
		owners[found.creator] = true
		if found.turn != nil {
			owners[found.turn.Incarnation], owners[found.turn.adopter] = true, true
		}
	}
	maps.DeleteFunc(s.proxies, func(incarnation coordinator.Incarnation, p *proxy) bool {
		return !owners[incarnation] && now.Sub(p.endsAt) > keptAfterEnd
	})
}

// Resign implements [coordinator.Members].
func (s *Store) Resign(ctx context.Context, incarnation coordinator.Incarnation) error {
	if err := alive(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endProxy(incarnation)
	return nil
}
