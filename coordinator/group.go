package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"praefect/transaction"
)

// nowhere is the place of a storage that is not configured.
const nowhere = -1

// Health tells which storages answer. It must be cheap and safe for concurrent use, since every
// read asks it about every storage.
type Health interface {
	Healthy(virtualStorage VirtualStorage, storage Storage) bool
}

// views are the opinions about nodes that decisions depend on.
type views struct {
	// local is what this process finds, agreed what the proxies find together.
	local, agreed Health
}

// group is one virtual storage at run time.
type group struct {
	name   VirtualStorage
	config VirtualStorageConfig
	views
	rand   Random
	places map[Storage]int
	// near are the storages that reads prefer.
	near set
	// loads counts the reads in flight per storage.
	loads   []atomic.Int64
	routes  *cache
	metrics groupMetrics
}

func (c *Coordinator) newGroup(
	name VirtualStorage, config VirtualStorageConfig, views views, shared *budget,
) *group {
	g := &group{
		name: name, config: config, views: views, rand: c.random,
		places: make(map[Storage]int, len(config.Storages)),
		loads:  make([]atomic.Int64, len(config.Storages)),
	}
	for place, storage := range config.Storages {
		g.places[storage] = place
	}
	g.near = g.members(config.Near)
	load := func(ctx context.Context, relativePath string) (route, error) {
		repository, err := c.store.Lookup(ctx, Key{name, relativePath})
		if err != nil {
			return route{}, err
		}
		return g.newRoute(repository), nil
	}
	g.routes = newCache(
		load, c.lease, c.config.OutageReads, shared, c.metrics.cacheCounters(name))
	g.metrics = c.metrics.group(name, config.Storages)
	return g
}

func (g *group) place(storage Storage) int {
	if place, ok := g.places[storage]; ok {
		return place
	}
	return nowhere
}

func (g *group) storage(place int) Storage { return g.config.Storages[place] }

// storages lists a set in the order of the configuration.
func (g *group) storages(members set) []Storage {
	list := make([]Storage, 0, members.count())
	for ; members != 0; members = members.dropLowest() {
		list = append(list, g.storage(members.lowest()))
	}
	return list
}

// members leaves out storages that are not configured.
func (g *group) members(storages []Storage) set {
	var members set
	for _, storage := range storages {
		if place, ok := g.places[storage]; ok {
			members = members.with(place)
		}
	}
	return members
}

// voters and votersOf translate between places and the words of the vote.
func (g *group) voters(voters []transaction.Voter) set {
	var members set
	for _, voter := range voters {
		if place, ok := g.places[Storage(voter)]; ok {
			members = members.with(place)
		}
	}
	return members
}

func (g *group) votersOf(members set) []transaction.Voter {
	voters := make([]transaction.Voter, 0, members.count())
	for ; members != 0; members = members.dropLowest() {
		voters = append(voters, transaction.Voter(g.storage(members.lowest())))
	}
	return voters
}

// additional returns the route of the second repository of a request, which must be in the same
// virtual storage.
func (g *group) additional(ctx context.Context, key Key) (route, error) {
	if key.VirtualStorage != g.name {
		return route{}, fmt.Errorf("%s: %w", key, ErrAdditionalRepositoryNotFound)
	}
	found, err := g.routes.get(ctx, key.RelativePath)
	if errors.Is(err, ErrRepositoryNotFound) {
		return route{}, fmt.Errorf("%s: %w", key, ErrAdditionalRepositoryNotFound)
	}
	return found, err
}

// all are the storages that are configured.
func (g *group) all() set { return 1<<len(g.config.Storages) - 1 }

// healthy are the storages that this process can reach.
func (g *group) healthy() set { return g.found(g.local) }

// fit are the storages that can lead: the proxies agree on them. A primary that only this process
// cannot reach stays what it is.
func (g *group) fit() set { return g.found(g.agreed) }

func (g *group) found(by Health) set {
	var members set
	for place, storage := range g.config.Storages {
		if by.Healthy(g.name, storage) {
			members = members.with(place)
		}
	}
	return members
}

// pick returns the less busy of two random members: nearly as even as asking all of them, and
// unlike the least busy of all it does not send everybody to the same place at once. Those that are
// near come first, however busy they are: distance costs every read the same, and traffic between
// zones is paid for.
func (g *group) pick(members set) int {
	if near := members & g.near; near != 0 {
		members = near
	}
	count := members.count()
	first := members.nth(g.rand.IntN(count))
	if count == 1 {
		return first
	}
	second := members.without(first).nth(g.rand.IntN(count - 1))
	if g.loads[second].Load() < g.loads[first].Load() {
		return second
	}
	return first
}

// random returns a random member.
func (g *group) random(members set) int { return members.nth(g.rand.IntN(members.count())) }
