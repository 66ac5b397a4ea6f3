package coordinator

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
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
// An entry may be used as long as the lease holds under which its load began, since until then this
// process is told of every change that takes a replica or the primary away. Without a lease each
// reader loads for itself and nothing is kept. Concurrent loads of one path are collapsed. An
// invalidation removes the entry and detaches the load under way: its waiters get what it finds,
// but it is not kept, and whoever comes later starts another. So a route that was read before an
// invalidation is never used after it.
type cache struct {
	load   func(ctx context.Context, relativePath string) (route, error)
	lease  Lease
	policy OutageReads
	budget *budget
	count  cacheCounters
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
	// under is the incarnation under whose lease its load began.
	under      Incarnation
	next, prev *entry
}

// loading is a load under way; its result is there once done is closed.
type loading struct {
	under Incarnation
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
	loadAlone
)

func newCache(
	load func(context.Context, string) (route, error), lease Lease, policy OutageReads,
	shared *budget, count cacheCounters,
) *cache {
	c := &cache{
		load: load, lease: lease, policy: policy, budget: shared, count: count,
		seed: maphash.MakeSeed(),
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
		case loadAlone:
			c.count.miss.Inc()
			return c.loadUnleased(ctx, shard, relativePath)
		case joinLoad:
		}

		select {
		case <-load.done:
		case <-ctx.Done():
			return route{}, fmt.Errorf("wait for metadata: %w", context.Cause(ctx))
		}
		if calledOff(load.err) {
			continue
		}
		c.count.miss.Inc()
		if errors.Is(load.err, ErrRepositoryNotFound) {
			// The load may have begun before a creation, which invalidates nothing, was answered.
			return c.load(ctx, relativePath)
		}
		return load.route, load.err
	}
}

// calledOff says that a load ended because its own caller left, which means nothing to others.
func calledOff(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// consult looks at the entry and the load of a path and registers a load if one is to start.
func (c *cache) consult(shard *cacheShard, path string) (route, *loading, verdict) {
	incarnation, leased := c.lease.Incarnation()
	if !leased {
		return route{}, nil, loadAlone
	}
	shard.mu.Lock()
	defer shard.mu.Unlock()

	if entry := shard.entries[path]; entry != nil && entry.under == incarnation {
		shard.touch(entry)
		return entry.route, nil, useEntry
	}
	// A load of an earlier incarnation may miss what was never told to this one.
	if load := shard.loading[path]; load != nil && load.under == incarnation {
		return route{}, load, joinLoad
	}
	load := &loading{under: incarnation, done: make(chan struct{})}
	shard.loading[path] = load
	return route{}, load, startLoad
}

// run loads a route and keeps it unless it was detached or the lease lost meanwhile.
func (c *cache) run(
	ctx context.Context, shard *cacheShard, path string, load *loading,
) (route, error) {
	load.route, load.err = c.load(ctx, path)
	close(load.done)

	incarnation, leased := c.lease.Incarnation()
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if shard.loading[path] != load {
		return load.route, load.err
	}
	delete(shard.loading, path)
	switch {
	case load.err == nil && leased && incarnation == load.under:
		c.insert(shard, load.route, load.under)
	case errors.Is(load.err, ErrRepositoryNotFound):
		if old := shard.entries[path]; old != nil {
			c.remove(shard, old)
		}
	}
	return load.route, load.err
}

// loadUnleased asks the store, whose answer is true at this moment and not kept. If the store does
// not answer, it is the configured policy whether what was known before is good enough.
func (c *cache) loadUnleased(
	ctx context.Context, shard *cacheShard, path string,
) (route, error) {
	found, err := c.load(ctx, path)
	if err == nil || c.policy != OutageServe || !errors.Is(err, ErrMetadataUnavailable) {
		return found, err
	}
	shard.mu.Lock()
	defer shard.mu.Unlock()
	old := shard.entries[path]
	if old == nil {
		return route{}, err
	}
	c.count.stale.Inc()
	return old.route, nil
}

// insert replaces what is there and makes room.
func (c *cache) insert(shard *cacheShard, fresh route, under Incarnation) {
	if old := shard.entries[fresh.relativePath()]; old != nil {
		c.remove(shard, old)
	}
	added := &entry{route: fresh, under: under}
	shard.entries[fresh.relativePath()] = added
	shard.link(added)
	c.count.populate.Inc()
	c.budget.used.Add(added.size())
	for c.budget.used.Load() > c.budget.limit && shard.ring.prev != &shard.ring {
		c.evict(shard, shard.ring.prev)
	}
}

func (c *cache) evict(shard *cacheShard, old *entry) {
	c.remove(shard, old)
	c.count.evict.Inc()
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
		c.evict(shard, old)
	}
}

// correct gives up what says otherwise than a route that was just read under the turn of its
// repository, and the load under way, which may. Another process may have changed the repository
// and this one may not have been told yet: nobody waits for that, as other processes wait for each
// other only.
func (c *cache) correct(fresh route) {
	path := fresh.relativePath()
	shard := c.shard(path)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	delete(shard.loading, path)
	old := shard.entries[path]
	if old != nil && (old.primary != fresh.primary || !fresh.current.contains(old.current)) {
		c.evict(shard, old)
	}
}

// forget removes all entries, of which none can be used once a new incarnation has begun. They stay
// when they are to be served while the store is away.
func (c *cache) forget() {
	if c.policy == OutageServe {
		return
	}
	for i := range c.shards {
		c.clear(&c.shards[i])
	}
}

func (c *cache) clear(shard *cacheShard) {
	shard.mu.Lock()
	defer shard.mu.Unlock()
	clear(shard.loading)
	for _, old := range shard.entries {
		c.remove(shard, old)
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
