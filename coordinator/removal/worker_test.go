package removal_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"praefect/coordinator"
	"praefect/coordinator/memory"
	"praefect/coordinator/metadatatest"
	"praefect/coordinator/removal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const virtual = coordinator.VirtualStorage("default")

// nodes notes what is removed from them. They are also their own health.
type nodes struct {
	mu      sync.Mutex // guards the fields below
	removed map[removal.Replica]int
	broken  map[coordinator.Storage]bool
	sick    map[coordinator.Storage]bool
	hangs   map[coordinator.Storage]bool
	now     int
	most    int
}

func newNodes() *nodes {
	return &nodes{
		removed: map[removal.Replica]int{}, broken: map[coordinator.Storage]bool{},
		sick: map[coordinator.Storage]bool{}, hangs: map[coordinator.Storage]bool{},
	}
}

func (n *nodes) Healthy(_ coordinator.VirtualStorage, storage coordinator.Storage) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.sick[storage]
}

func (n *nodes) set(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
}

func (n *nodes) Remove(ctx context.Context, replica removal.Replica) error {
	n.enter()
	defer n.leave()
	select {
	case <-time.After(10 * time.Millisecond):
	case <-ctx.Done():
	}
	n.mu.Lock()
	hangs, broken := n.hangs[replica.Storage], n.broken[replica.Storage]
	n.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	if broken {
		return errors.New("disk is read-only")
	}
	n.set(func() { n.removed[replica]++ })
	return nil
}

func (n *nodes) enter() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now++
	n.most = max(n.most, n.now)
}

// counts says how often each replica was removed.
func (n *nodes) counts() []int {
	n.mu.Lock()
	defer n.mu.Unlock()
	var counts []int
	for _, count := range n.removed {
		counts = append(counts, count)
	}
	return counts
}

func (n *nodes) leave() { n.set(func() { n.now-- }) }

// undone makes a repository on three storages and undoes its creation, after which it is kept for
// the given time.
func undone(
	t *testing.T, store *memory.Store, id coordinator.RepositoryID, keep time.Duration,
) coordinator.Repository {
	t.Helper()
	create(t, store, id, metadatatest.Enlist(t, store))
	repository, err := store.Delete(t.Context(), coordinator.Deletion{Repository: id, Keep: keep})
	require.NoError(t, err)
	return repository
}

// deleted is undone and is not kept.
func deleted(
	t *testing.T, store *memory.Store, id coordinator.RepositoryID,
) coordinator.Repository {
	t.Helper()
	return undone(t, store, id, 0)
}

func create(
	t *testing.T, store *memory.Store, id coordinator.RepositoryID,
	by coordinator.Incarnation,
) {
	t.Helper()
	storages := []coordinator.Storage{"a", "b", "c"}
	path := fmt.Sprintf("%d.git", id)
	require.NoError(t, store.Create(t.Context(), coordinator.Creation{
		ID: id, Key: coordinator.Key{VirtualStorage: virtual, RelativePath: path},
		ReplicaPath: coordinator.ReplicaPath(id, path), Primary: "a",
		Participants: storages, Assigned: storages, Incarnation: by,
	}))
}

// start runs a worker until the returned function is called.
func start(
	t *testing.T, store removal.Store, on *nodes, due <-chan struct{},
) func() {
	t.Helper()
	worker, err := removal.New(removal.Dependencies{
		Store: store, Remover: on, Health: on, Due: due, Registerer: prometheus.NewRegistry(),
	}, zap.NewNop(), removal.Config{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- worker.Run(ctx) }()
	return func() {
		cancel()
		require.NoError(t, <-done)
	}
}

func gone(t *testing.T, store *memory.Store, id coordinator.RepositoryID) bool {
	t.Helper()
	_, err := store.Load(t.Context(), id)
	if err != nil {
		require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
	}
	return err != nil
}

func TestRemoval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, on, due := memory.New(), newNodes(), make(chan struct{})
		stop := start(t, store, on, due)
		defer stop()
		repository := deleted(t, store, 1)
		due <- struct{}{}
		<-time.After(time.Second)
		require.True(t, gone(t, store, 1))
		require.Len(t, on.removed, 3)
		for _, storage := range []coordinator.Storage{"a", "b", "c"} {
			require.Equal(t, 1, on.removed[removal.Replica{
				VirtualStorage: virtual, Storage: storage, ReplicaPath: repository.ReplicaPath,
			}])
		}
	})
}

// TestRemovalOfMany has more than a batch, without being told.
func TestRemovalOfMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, on := memory.New(), newNodes()
		const repositories = 35
		for i := range repositories {
			deleted(t, store, coordinator.RepositoryID(i+1))
		}
		stop := start(t, store, on, nil)
		<-time.After(time.Second)
		stop()
		for i := range repositories {
			require.True(t, gone(t, store, coordinator.RepositoryID(i+1)))
		}
		require.Equal(t, 30, on.most, "ten repositories on three storages")
	})
}

// TestRemovalGoesOn has nodes that cannot remove for a while, each for a reason of its own.
func TestRemovalGoesOn(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*nodes) map[coordinator.Storage]bool{
		"broken": func(n *nodes) map[coordinator.Storage]bool { return n.broken },
		"sick":   func(n *nodes) map[coordinator.Storage]bool { return n.sick },
		"hangs":  func(n *nodes) map[coordinator.Storage]bool { return n.hangs },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store, on := memory.New(), newNodes()
				fault(on)["b"] = true
				deleted(t, store, 1)
				stop := start(t, store, on, nil)
				defer stop()
				<-time.After(5 * time.Minute)
				left, err := store.Load(t.Context(), 1)
				require.NoError(t, err)
				require.Len(t, left.Replicas, 1)
				require.Equal(t, coordinator.Storage("b"), left.Replicas[0].Storage)

				on.set(func() { fault(on)["b"] = false })
				<-time.After(2 * time.Minute)
				require.True(t, gone(t, store, 1))
			})
		})
	}
}

// counting counts how often it is told what was removed.
type counting struct {
	*memory.Store
	told atomic.Int64
}

func (c *counting) Removed(
	ctx context.Context, id coordinator.RepositoryID, storages []coordinator.Storage,
) error {
	c.told.Add(1)
	return c.Store.Removed(ctx, id, storages)
}

// TestRemovalThatWaitsIsCheap has a repository whose only replica left is on a node that is away.
func TestRemovalThatWaitsIsCheap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, on := &counting{Store: memory.New()}, newNodes()
		on.sick["b"] = true
		deleted(t, store.Store, 1)
		stop := start(t, store, on, nil)
		defer stop()
		<-time.After(time.Hour)
		require.EqualValues(t, 1, store.told.Load(), "of the two that are gone")
		require.False(t, gone(t, store.Store, 1))
	})
}

// TestRemovalIsRepeated has creations whose nodes may be at work still: their disks are cleaned at
// once and again when that time is over, and not in between.
func TestRemovalIsRepeated(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(*testing.T, *memory.Store){
		"failed": func(t *testing.T, store *memory.Store) {
			t.Helper()
			undone(t, store, 1, 5*time.Minute)
		},
		"of a proxy that ended": func(t *testing.T, store *memory.Store) {
			t.Helper()
			by := metadatatest.Enlist(t, store)
			create(t, store, 1, by)
			require.NoError(t, store.Resign(t.Context(), by))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store, on := memory.New(), newNodes()
				begin(t, store)
				stop := start(t, store, on, nil)
				defer stop()
				for _, wait := range []time.Duration{10 * time.Second, 4 * time.Minute} {
					<-time.After(wait)
					require.Equal(t, []int{1, 1, 1}, on.counts())
					require.False(t, gone(t, store, 1))
				}
				<-time.After(90 * time.Second)
				require.Equal(t, []int{2, 2, 2}, on.counts())
				require.True(t, gone(t, store, 1))
			})
		})
	}
}

// away is a store that does not answer.
type away struct{ *memory.Store }

func (away) ClaimRemovals(
	context.Context, coordinator.RemovalRequest,
) ([]coordinator.Repository, error) {
	return nil, coordinator.ErrMetadataUnavailable
}

func TestRemovalWithoutMetadata(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, on := memory.New(), newNodes()
		deleted(t, store, 1)
		stop := start(t, away{store}, on, nil)
		<-time.After(time.Minute)
		stop()
		require.Empty(t, on.removed)
		require.False(t, gone(t, store, 1))
	})
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	_, err := removal.New(removal.Dependencies{Registerer: prometheus.NewRegistry()},
		zap.NewNop(), removal.Config{Batch: -1})
	require.ErrorIs(t, err, removal.ErrInvalidConfig)
}
