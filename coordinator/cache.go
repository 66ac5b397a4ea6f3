package coordinator

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// cacheShards keeps readers of different repositories from waiting for one mutex.
	cacheShards = 16
	// entryOverhead is what an entry takes beside its paths: itself, its share of the map, and
	// what the allocator rounds up. A test measures it.
	entryOverhead = 140
)

// cache keeps the routes of one virtual storage, bounded in bytes, least recently used first out.
//
// An entry is used until it is maxAge old. From half that age the next reader loads it anew,
// while the others go on with what is there; so a repository that is read all the time never
// makes anybody wait. Concurrent loads of one path are collapsed. An invalidation removes the
// entry and detaches the load under way: its waiters get what it finds, but it is not kept, and
// whoever comes later starts another. So a route that was read before an invalidation is never
// used after it.
type cache struct {
	load   func(ctx context.Context, relativePath string) (route, error)
	maxAge time.Duration
	budget *budget
	count  cacheCounters
	begin  time.Time
	seed   maphash.Seed
	shards [cacheShards]cacheShard
}

// budget is shared by the caches of all virtual storages.
type budget struct {
	limit int64
	used  atomic.Int64
}

type cacheShard struct {
	mu sync.Mutex // guards the fields below
	// entries and the ring hold the same.
	entries map[string]*entry
	loading map[string]*loading
	// ring is the sentinel of a circular list, most recently used next.
	ring entry
}

type entry struct {
	route
	// loadedAt is when its load began, counted from the begin of the cache.
	loadedAt   time.Duration
	next, prev *entry
}

// loading is a load under way; its result is there once done is closed.
type loading struct {
	done  chan struct{}
	route route
	err   error
}

// verdict says what a reader has to do.
type verdict uint8

const (
	useEntry verdict = iota + 1
	joinLoad
	startLoad
)

func newCache(
	load func(context.Context, string) (route, error), maxAge time.Duration, shared *budget,
	count cacheCounters,
) *cache {
	c := &cache{
		load: load, maxAge: maxAge, budget: shared, count: count,
		begin: time.Now(), seed: maphash.MakeSeed(),
	}
	for i := range c.shards {
		shard := &c.shards[i]
		shard.entries = map[string]*entry{}
		shard.loading = map[string]*loading{}
		shard.ring.next, shard.ring.prev = &shard.ring, &shard.ring
	}
	return c
}

// get returns the route of a repository. It costs no statement when it is cached.
func (c *cache) get(ctx context.Context, relativePath string) (route, error) {
	shard := c.shard(relativePath)
	for {
		found, load, todo := c.consult(shard, relativePath)
		switch todo {
		case useEntry:
			c.count.hit.Inc()
			return found, nil
		case startLoad:
			c.count.miss.Inc()
			return c.run(ctx, shard, relativePath, load)
		case joinLoad:
		}

		select {
		case <-load.done:
		case <-ctx.Done():
			return route{}, fmt.Errorf("wait for metadata: %w", context.Cause(ctx))
		}
		if !calledOff(load.err) {
			c.count.miss.Inc()
			return load.route, load.err
		}
	}
}

// calledOff says that a load ended because its own caller left, which means nothing to others.
func calledOff(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// consult looks at the entry and the load of a path and registers a load if one is to start.
func (c *cache) consult(shard *cacheShard, path string) (route, *loading, verdict) {
	now := time.Since(c.begin)
	shard.mu.Lock()
	defer shard.mu.Unlock()

	entry, load := shard.entries[path], shard.loading[path]
	if entry != nil {
		age := now - entry.loadedAt
		if age < c.maxAge/2 || (age < c.maxAge && load != nil) {
			shard.touch(entry)
			return entry.route, nil, useEntry
		}
	}
	if load != nil {
		return route{}, load, joinLoad
	}
	load = &loading{done: make(chan struct{})}
	shard.loading[path] = load
	return route{}, load, startLoad
}

// run loads a route and keeps it unless it was detached meanwhile.
func (c *cache) run(
	ctx context.Context, shard *cacheShard, path string, load *loading,
) (route, error) {
	begun := time.Since(c.begin)
	load.route, load.err = c.load(ctx, path)
	close(load.done)

	shard.mu.Lock()
	defer shard.mu.Unlock()
	if shard.loading[path] != load {
		return load.route, load.err
	}
	delete(shard.loading, path)
	if load.err == nil {
		c.insert(shard, load.route, begun)
		return load.route, nil
	}
	return c.fallBack(shard, path, load.err)
}

// fallBack serves what is there as long as it may be used when it could not be loaded anew.
func (c *cache) fallBack(shard *cacheShard, path string, err error) (route, error) {
	old := shard.entries[path]
	switch {
	case old == nil:
		return route{}, err
	case errors.Is(err, ErrRepositoryNotFound):
		c.remove(shard, old)
		return route{}, err
	case time.Since(c.begin)-old.loadedAt < c.maxAge:
		return old.route, nil
	default:
		return route{}, err
	}
}

// insert replaces what is there and makes room.
func (c *cache) insert(shard *cacheShard, fresh route, loadedAt time.Duration) {
	if old := shard.entries[fresh.relativePath()]; old != nil {
		c.remove(shard, old)
	}
	added := &entry{route: fresh, loadedAt: loadedAt}
	shard.entries[fresh.relativePath()] = added
	shard.link(added)
	c.count.populate.Inc()
	c.budget.used.Add(added.size())
	for c.budget.used.Load() > c.budget.limit && shard.ring.prev != &shard.ring {
		c.remove(shard, shard.ring.prev)
		c.count.evict.Inc()
	}
}

func (c *cache) remove(shard *cacheShard, old *entry) {
	delete(shard.entries, old.relativePath())
	shard.unlink(old)
	c.budget.used.Add(-old.size())
}

// invalidate makes sure that nothing that was loaded before the call is used by a reader that
// comes after it.
func (c *cache) invalidate(relativePath string) {
	shard := c.shard(relativePath)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	delete(shard.loading, relativePath)
	if old := shard.entries[relativePath]; old != nil {
		c.remove(shard, old)
		c.count.evict.Inc()
	}
}

func (c *cache) shard(relativePath string) *cacheShard {
	return &c.shards[maphash.String(c.seed, relativePath)%cacheShards]
}

func (s *cacheShard) touch(used *entry) {
	if s.ring.next != used {
		s.unlink(used)
		s.link(used)
	}
}

func (s *cacheShard) link(added *entry) {
	added.next, added.prev = s.ring.next, &s.ring
	added.next.prev, s.ring.next = added, added
}

func (s *cacheShard) unlink(old *entry) {
	old.prev.next, old.next.prev = old.next, old.prev
}

func (e *entry) size() int64 { return int64(len(e.paths)) + entryOverhead }
