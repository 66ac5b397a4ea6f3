// Package memory keeps the coordinator's metadata in memory, for simulation and unit tests. It
// follows the same contract as the database, and forgets everything with the process.
package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"praefect/coordinator"
)

// Store implements [coordinator.Store]. Safe for concurrent use.
type Store struct {
	mu           sync.Mutex // guards the field below
	repositories map[coordinator.RepositoryID]*repository
}

type repository struct {
	coordinator.Repository // its Replicas are built from the map below
	replicas               map[coordinator.Storage]*replica
	lastWrite              coordinator.WriteID
	// dueAt is the expiry of a creation, or when a worker may go on with a removal.
	dueAt    time.Time
	verifyAt time.Time
}

type replica struct {
	generation coordinator.Generation
	assigned   bool
	joining    bool
	// dueAt is zero unless the replica needs repair.
	dueAt     time.Time
	failures  int
	lastError string
	// claim is the last repair since the replica was current; it ended when claimEnds is past.
	claim     coordinator.ClaimID
	claimEnds time.Time
}

// New returns an empty store.
func New() *Store {
	return &Store{repositories: map[coordinator.RepositoryID]*repository{}}
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

func (r *repository) snapshot() coordinator.Repository {
	now := time.Now()
	snapshot := r.Repository
	snapshot.Replicas = make([]coordinator.Replica, 0, len(r.replicas))
	for storage, replica := range r.replicas {
		snapshot.Replicas = append(snapshot.Replicas, coordinator.Replica{
			Storage: storage, Generation: replica.generation, Assigned: replica.assigned,
			Joining: replica.joining, Repairing: replica.claimEnds.After(now),
		})
	}
	slices.SortFunc(snapshot.Replicas, func(a, b coordinator.Replica) int {
		return compare(a.Storage, b.Storage)
	})
	return snapshot
}

func compare(a, b coordinator.Storage) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
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
	r.joining, r.claim, r.claimEnds = false, 0, time.Time{}
}
