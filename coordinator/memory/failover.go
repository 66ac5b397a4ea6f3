package memory

import (
	"maps"
	"slices"
)

// Copy returns a store with all that this one holds now. Nobody listens to it.
func (s *Store) Copy() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	clone := New()
	for id, found := range s.repositories {
		clone.repositories[id] = found.copy()
	}
	for incarnation, found := range s.proxies {
		proxy := *found
		clone.proxies[incarnation] = &proxy
	}
	clone.turns, clone.last, clone.timeline = s.turns, s.last, s.timeline
	clone.announcements = maps.Clone(s.announcements)
	clone.invalidations = slices.Clone(s.invalidations)
	return clone
}

// TakeOver lets another server take this one's place, which has received what the copy holds and
// nothing after. The copy must not be used any more.
func (s *Store) TakeOver(standby *Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repositories, s.proxies = standby.repositories, standby.proxies
	s.announcements = standby.announcements
	s.turns, s.last, s.invalidations = standby.turns, standby.last, standby.invalidations
	s.timeline++
}

func (r *repository) copy() *repository {
	clone := *r
	clone.replicas = maps.Clone(r.replicas)
	for storage, found := range clone.replicas {
		replica := *found
		clone.replicas[storage] = &replica
	}
	if r.turn != nil {
		held := *r.turn
		held.ended = slices.Clone(held.ended)
		clone.turn = &held
	}
	return &clone
}
