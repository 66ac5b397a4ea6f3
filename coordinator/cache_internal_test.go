package coordinator

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

const testPath = "repository.git"

// source stands for the store behind a cache: each load waits until the test answers it.
type source struct {
	loads  int
	answer chan loaded
}

type loaded struct {
	id  RepositoryID
	err error
}

func (s *source) load(ctx context.Context, path string) (route, error) {
	s.loads++
	select {
	case answer := <-s.answer:
		return testRoute(path, answer.id), answer.err
	case <-ctx.Done():
		return route{}, context.Cause(ctx)
	}
}

func testRoute(path string, id RepositoryID) route {
	return route{paths: path + ReplicaPath(id, path), split: uint32(len(path)), id: id}
}

func testCounters() cacheCounters {
	counter := func() prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "test"})
	}
	return cacheCounters{counter(), counter(), counter(), counter(), counter()}
}

// testLease is the lease of a process as the test wants it: incarnation 0 is none.
type testLease struct{ incarnation atomic.Int64 }

func (l *testLease) Incarnation() (Incarnation, bool) {
	incarnation := Incarnation(l.incarnation.Load())
	return incarnation, incarnation != 0
}

func newTestCache() (*cache, *source) {
	c, s, _ := newLeasedCache(OutageStrict)
	return c, s
}

func newLeasedCache(policy OutageReads) (*cache, *source, *testLease) {
	s, lease := &source{answer: make(chan loaded)}, &testLease{}
	lease.incarnation.Store(1)
	return newCache(s.load, lease, policy, &budget{limit: 1 << 20}, testCounters()), s, lease
}

// got is what a reader was told.
type got struct {
	id  RepositoryID
	err error
}

// read starts a reader and returns where its answer will be.
func read(ctx context.Context, c *cache) <-chan got {
	answer := make(chan got, 1)
	go func() {
		found, err := c.get(ctx, testPath)
		answer <- got{found.id, err}
	}()
	synctest.Wait()
	return answer
}

func TestCacheHitsCostNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := newTestCache()
		first := read(t.Context(), c)
		s.answer <- loaded{id: 1}
		require.Equal(t, got{id: 1}, <-first)
		for range 10 {
			require.Equal(t, got{id: 1}, <-read(t.Context(), c))
		}
		require.Equal(t, 1, s.loads)
	})
}

// TestCacheNeedsLease loses the lease and takes another one: nothing that was loaded before is
// used.
func TestCacheNeedsLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s, lease := newLeasedCache(OutageStrict)
		first := read(t.Context(), c)
		s.answer <- loaded{id: 1}
		<-first

		lease.incarnation.Store(0)
		for id := RepositoryID(2); id < 4; id++ {
			unleased := read(t.Context(), c)
			s.answer <- loaded{id: id}
			require.Equal(t, got{id: id}, <-unleased, "each reader asks for itself")
		}
		unleased := read(t.Context(), c)
		s.answer <- loaded{err: ErrMetadataUnavailable}
		require.ErrorIs(t, (<-unleased).err, ErrMetadataUnavailable)

		lease.incarnation.Store(2)
		again := read(t.Context(), c)
		s.answer <- loaded{id: 5}
		require.Equal(t, got{id: 5}, <-again)
		require.Equal(t, got{id: 5}, <-read(t.Context(), c))
	})
}

// TestCacheLoadOutlivesLease begins a load under a lease that is lost before it ends: it may miss
// what the next incarnation is never told.
func TestCacheLoadOutlivesLease(t *testing.T) {
	t.Parallel()
	for _, next := range []int64{0, 2} {
		synctest.Test(t, func(t *testing.T) {
			c, s, lease := newLeasedCache(OutageStrict)
			before := read(t.Context(), c)
			lease.incarnation.Store(next)
			after := read(t.Context(), c)
			require.Equal(t, 2, s.loads, "the later reader does not join")
			s.answer <- loaded{id: 1}
			s.answer <- loaded{id: 1}
			<-before
			<-after

			lease.incarnation.Store(next + 1)
			fresh := read(t.Context(), c)
			s.answer <- loaded{id: 2}
			require.Equal(t, got{id: 2}, <-fresh)
		})
	}
}

// TestCacheServesOutage has a store that does not answer after the lease was lost.
func TestCacheServesOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s, lease := newLeasedCache(OutageServe)
		first := read(t.Context(), c)
		s.answer <- loaded{id: 1}
		<-first
		lease.incarnation.Store(0)
		c.forget()

		known := read(t.Context(), c)
		s.answer <- loaded{err: ErrMetadataUnavailable}
		require.Equal(t, got{id: 1}, <-known)
		gone := read(t.Context(), c)
		s.answer <- loaded{err: ErrRepositoryNotFound}
		require.ErrorIs(t, (<-gone).err, ErrRepositoryNotFound, "an answer is believed")
	})
}

func TestCacheForget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := newTestCache()
		first := read(t.Context(), c)
		s.answer <- loaded{id: 1}
		<-first
		c.forget()
		require.Zero(t, c.budget.used.Load())
		again := read(t.Context(), c)
		s.answer <- loaded{err: ErrRepositoryNotFound}
		require.ErrorIs(t, (<-again).err, ErrRepositoryNotFound)
	})
}

// TestCacheInvalidation is the interleaving that must never happen: a load that began before an
// invalidation is kept after it, or joined by a reader that comes after it.
func TestCacheInvalidation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := newTestCache()
		before := read(t.Context(), c)
		c.invalidate(testPath)
		after := read(t.Context(), c)
		require.Equal(t, 2, s.loads, "the later reader starts a load of its own")

		// The channel serves the loads in the order in which they began.
		s.answer <- loaded{id: 1}
		require.Equal(t, got{id: 1}, <-before, "who asked before may have the old route")
		s.answer <- loaded{id: 2}
		require.Equal(t, got{id: 2}, <-after)
		require.Equal(t, got{id: 2}, <-read(t.Context(), c))

		c.invalidate(testPath)
		last := read(t.Context(), c)
		s.answer <- loaded{id: 3}
		require.Equal(t, got{id: 3}, <-last)
		require.Equal(t, 3, s.loads)
	})
}

// TestCacheInvalidationLate lets the load from before the invalidation end last.
func TestCacheInvalidationLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := newTestCache()
		old := make(chan loaded)
		load := c.load
		c.load = func(context.Context, string) (route, error) {
			return testRoute(testPath, (<-old).id), nil
		}
		before := read(t.Context(), c)
		c.invalidate(testPath)
		c.load = load
		after := read(t.Context(), c)
		s.answer <- loaded{id: 2}
		require.Equal(t, got{id: 2}, <-after)

		old <- loaded{id: 1}
		require.Equal(t, got{id: 1}, <-before)
		require.Equal(t, got{id: 2}, <-read(t.Context(), c), "the old route was not kept")
		require.Equal(t, 1, s.loads)
	})
}

// TestCacheCorrected compares what is kept, and what is being loaded, with a route that was read
// under the turn.
func TestCacheCorrected(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		current set
		primary int8
		stays   bool
	}{
		"the same":         {current: 0b111, stays: true},
		"one more":         {current: 0b1111, stays: true},
		"one is outdated":  {current: 0b011},
		"another primary":  {current: 0b111, primary: 1},
		"one for another":  {current: 0b1011},
		"none is known of": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, s := newTestCache()
				load := c.load
				c.load = func(ctx context.Context, path string) (route, error) {
					found, err := load(ctx, path)
					found.current = 0b111
					return found, err
				}
				fresh := testRoute(testPath, 1)
				fresh.current, fresh.primary = tc.current, tc.primary
				kept := read(t.Context(), c)
				s.answer <- loaded{id: 1}
				require.Equal(t, got{id: 1}, <-kept)
				c.correct(fresh)
				again := read(t.Context(), c)
				if tc.stays {
					require.Equal(t, 1, s.loads)
					require.Equal(t, got{id: 1}, <-again)
					return
				}
				require.Equal(t, 2, s.loads)
				c.correct(fresh)
				after := read(t.Context(), c)
				require.Equal(t, 3, s.loads, "the load before may be older")
				s.answer <- loaded{id: 1}
				s.answer <- loaded{id: 1}
				require.Equal(t, got{id: 1}, <-again)
				require.Equal(t, got{id: 1}, <-after)
			})
		})
	}
}

func TestCacheCollapsesLoads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := newTestCache()
		loader, stopLoader := context.WithCancel(t.Context())
		first := read(loader, c)
		var waiting []<-chan got
		for range 5 {
			waiting = append(waiting, read(t.Context(), c))
		}
		impatient, leave := context.WithCancel(t.Context())
		gone := read(impatient, c)
		leave()
		require.ErrorIs(t, (<-gone).err, context.Canceled, "a waiter obeys its own context")
		require.Equal(t, 1, s.loads)

		stopLoader()
		require.ErrorIs(t, (<-first).err, context.Canceled)
		synctest.Wait()
		require.Equal(t, 2, s.loads, "one of the others takes over")
		s.answer <- loaded{id: 1}
		for _, answer := range waiting {
			require.Equal(t, got{id: 1}, <-answer)
		}
	})
}

func TestCacheErrorsReachWaiters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := newTestCache()
		broken := errors.New("broken")
		first, second := read(t.Context(), c), read(t.Context(), c)
		s.answer <- loaded{err: broken}
		require.ErrorIs(t, (<-first).err, broken)
		require.ErrorIs(t, (<-second).err, broken)
		require.Equal(t, 1, s.loads)
	})
}

// fillCache reads many repositories through a cache of a size.
func fillCache(t *testing.T, limit int64, count int) *cache {
	t.Helper()
	lease := &testLease{}
	lease.incarnation.Store(1)
	c := newCache(func(_ context.Context, path string) (route, error) {
		return testRoute(path, RepositoryID(1<<62+len(path))), nil
	}, lease, OutageStrict, &budget{limit: limit}, testCounters())
	for i := range count {
		_, err := c.get(t.Context(), hashedPath(i))
		require.NoError(t, err)
	}
	return c
}

// hashedPath is as long as the paths that clients use.
func hashedPath(i int) string { return fmt.Sprintf("@hashed/ab/cd/%064x.git", i) }

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	const limit, count = 1 << 20, 10_000
	c := fillCache(t, limit, count)
	require.LessOrEqual(t, c.budget.used.Load(), int64(limit))
	require.Greater(t, c.budget.used.Load(), int64(limit*9/10), "and makes use of its bound")

	var kept, used int64
	for i := range c.shards {
		kept += int64(len(c.shards[i].entries))
		for entry := c.shards[i].ring.next; entry != &c.shards[i].ring; entry = entry.next {
			used += entry.size()
		}
	}
	require.Equal(t, c.budget.used.Load(), used, "what is counted is what is there")
	require.Less(t, kept, int64(count))

	shard := c.shard(hashedPath(count - 1))
	require.Contains(t, shard.entries, hashedPath(count-1), "the last one used is kept")
	for i := range count {
		c.invalidate(hashedPath(i))
	}
	require.Zero(t, c.budget.used.Load())
}

// TestCacheCountsMemory compares what an entry is charged with what it takes.
//
//nolint:paralleltest // it measures the heap
func TestCacheCountsMemory(t *testing.T) {
	const count = 50_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c := fillCache(t, 1<<30, count)
	runtime.GC()
	runtime.ReadMemStats(&after)
	taken := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	charged := c.budget.used.Load()
	t.Logf("an entry takes %d bytes and is charged %d", taken/count, charged/count)
	require.Less(t, taken, charged*11/10)
	require.Greater(t, taken, charged*7/10)
	require.Less(t, taken/count, int64(268), "256 MiB hold a million")
}
