// Package memory keeps the coordinator's metadata in memory, for simulation and unit tests. It
// follows the same contract as the database, and forgets everything with the process.
package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"praefect/coordinator"
)

// Store implements [coordinator.Store]. Safe for concurrent use.
type Store struct {
	mu           sync.Mutex // guards the fields below
	repositories map[coordinator.RepositoryID]*repository
	proxies      map[coordinator.Incarnation]*proxy
	// announcements are kept when their repository is gone, until they are withdrawn or adopted.
	announcements map[coordinator.WriteID]coordinator.Announcement

	turns int64 // counts turns
	// invalidations are in order; last numbers the latest, which may have been forgotten.
	invalidations []invalidation
	last          coordinator.Sequence
	listeners     map[chan coordinator.Notice]struct{}
	// timeline counts the servers that took over.
	timeline int
}

type repository struct {
	coordinator.Repository // its Replicas are built from the map below
	replicas               map[coordinator.Storage]*replica
	lastWrite              coordinator.WriteID
	// turn is nil while nobody holds it.
	turn         *turn
	creator      coordinator.Incarnation
	verification verification
	// dueAt is when a worker may go on with a removal, keptUntil until when a node may still be at
	// work, or zero.
	dueAt, keptUntil time.Time
	everywhere       bool
	sweeps           int
}

type replica struct {
	generation coordinator.Generation
	assigned   bool
	joining    bool
	filling    bool
	// dueAt is zero unless the replica needs repair.
	dueAt     time.Time
	failures  int
	lastError string
	// claim is the last repair since the replica was current; it ended when claimEnds is past.
	claim     coordinator.ClaimID
	claimEnds time.Time
	// settlesAt is until when the node may act on a write that was decided without it.
	settlesAt time.Time
	// verifiedAt and leasedUntil are zero unless it was verified, or is being verified.
	verifiedAt, leasedUntil time.Time
}

// New returns an empty store.
func New() *Store {
	return &Store{
		repositories: map[coordinator.RepositoryID]*repository{},
		proxies:      map[coordinator.Incarnation]*proxy{},

		announcements: map[coordinator.WriteID]coordinator.Announcement{},
		listeners:     map[chan coordinator.Notice]struct{}{},
	}
}

// Lookup implements [coordinator.Reader].
func (s *Store) Lookup(
	ctx context.Context, key coordinator.Key,
) (coordinator.Repository, error) {
	if err := alive(ctx); err != nil {
		return coordinator.Repository{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, found := range s.repositories {
		if found.Key == key && found.State == coordinator.StateReady {
			return found.snapshot(), nil
		}
	}
	return coordinator.Repository{}, coordinator.ErrRepositoryNotFound
}

// Load implements [coordinator.Reader].
func (s *Store) Load(
	ctx context.Context, id coordinator.RepositoryID,
) (coordinator.Repository, error) {
	if err := alive(ctx); err != nil {
		return coordinator.Repository{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.repositories[id]
	if !ok {
		return coordinator.Repository{}, coordinator.ErrRepositoryNotFound
	}
	return found.snapshot(), nil
}

// Paths implements [coordinator.Reader].
func (s *Store) Paths(ctx context.Context, page coordinator.Page) ([]string, error) {
	if err := alive(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var paths []string
	for _, found := range s.repositories {
		if found.Key.VirtualStorage == page.VirtualStorage &&
			found.State == coordinator.StateReady && found.Key.RelativePath > page.After {
			paths = append(paths, found.Key.RelativePath)
		}
	}
	slices.Sort(paths)
	return paths[:min(len(paths), page.Limit)], nil
}

// alive makes a call fail like one to a database whose caller has left.
func alive(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", coordinator.ErrMetadataUnavailable, context.Cause(ctx))
	}
	return nil
}

// ready returns a repository that clients see, or nil.
func (s *Store) ready(id coordinator.RepositoryID) *repository {
	found, ok := s.repositories[id]
	if !ok || found.State != coordinator.StateReady {
		return nil
	}
	return found
}

func (r *repository) snapshot() coordinator.Repository {
	now := time.Now()
	snapshot := r.Repository
	snapshot.TurnHeld = r.turn != nil
	snapshot.Replicas = make([]coordinator.Replica, 0, len(r.replicas))
	for storage, replica := range r.replicas {
		snapshot.Replicas = append(snapshot.Replicas, coordinator.Replica{
			Storage: storage, Generation: replica.generation, Assigned: replica.assigned,
			Joining: replica.joining, Repairing: replica.claimEnds.After(now),
			Filling: replica.filling, VerifiedAt: replica.verifiedAt,
		})
	}
	slices.SortFunc(snapshot.Replicas, func(a, b coordinator.Replica) int {
		return cmp.Compare(a.Storage, b.Storage)
	})
	return snapshot
}

// byTime orders repositories, those of the same moment by their ids.
func byTime(at func(*repository) time.Time) func(a, b *repository) int {
	return func(a, b *repository) int {
		return cmp.Or(at(a).Compare(at(b)), cmp.Compare(a.ID, b.ID))
	}
}

// current says whether the replica holds every acknowledged write.
func (r *repository) current(storage coordinator.Storage) bool {
	replica, ok := r.replicas[storage]
	return ok && replica.generation == r.Generation
}

// due notes that an assigned replica that is behind needs repair. It says whether that is news.
func (r *repository) due(replica *replica, delay time.Duration) bool {
	if !replica.assigned || !replica.dueAt.IsZero() {
		return false
	}
	replica.dueAt = time.Now().Add(delay)
	return true
}

// forget notes that a replica is current.
func (r *replica) forget() {
	r.dueAt, r.failures, r.lastError = time.Time{}, 0, ""
	r.joining, r.filling, r.claim, r.claimEnds = false, false, 0, time.Time{}
}
