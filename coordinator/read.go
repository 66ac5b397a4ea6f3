package coordinator

import (
	"context"
	"fmt"
	"sync/atomic"
)

// ReadOptions narrows the choice of a replica.
type ReadOptions struct {
	// PrimaryOnly asks for the primary, electing one if need be.
	PrimaryOnly bool
	// Exclude names storages that were tried before.
	Exclude []Storage
}

// ReadRoute says where to read. Done must be called once the read has ended.
type ReadRoute struct {
	Storage     Storage
	ReplicaPath string
	load        *atomic.Int64
}

// Done takes the read out of the count by which later reads are spread.
func (r ReadRoute) Done() {
	if r.load != nil {
		r.load.Add(-1)
	}
}

// Read chooses a replica that holds every acknowledged write: the less busy of two random current
// and healthy ones. While this process commits a write of the repository, it is the primary if
// that can be read, since the others may be ahead of it or behind. It returns
// [ErrRepositoryNotFound], [ErrNoHealthyNode], [ErrNoCurrentReplica] or, for primary-only reads,
// [ErrNoPrimary]. Safe for concurrent use; a cached route costs neither a statement nor memory.
func (c *Coordinator) Read(ctx context.Context, key Key, options ReadOptions) (ReadRoute, error) {
	group, err := c.group(key.VirtualStorage)
	if err != nil {
		return ReadRoute{}, err
	}
	route, err := group.routes.get(ctx, key.RelativePath)
	if err != nil {
		return ReadRoute{}, fmt.Errorf("route read of %s: %w", key, err)
	}
	if options.PrimaryOnly {
		if route, err = c.lead(ctx, group, route); err != nil {
			return ReadRoute{}, fmt.Errorf("route read of %s: %w", key, err)
		}
	}

	candidates, err := readable(readQuery{
		route: route, healthy: group.healthy(), excluded: group.members(options.Exclude),
		primaryOnly: options.PrimaryOnly, committing: c.lines.committing(route.id),
	})
	if err != nil {
		return ReadRoute{}, fmt.Errorf("route read of %s: %w", key, err)
	}
	return group.read(group.pick(candidates), route.replicaPath()), nil
}

// serves says whether the primary can be read and written.
func serves(r route, healthy set) bool {
	return r.primarySet()&r.current&healthy != 0
}

// readQuery is what the choice of replicas depends on.
type readQuery struct {
	route                   route
	healthy, excluded       set
	primaryOnly, committing bool
}

// readable returns the replicas among which a read may choose, at least one.
func readable(q readQuery) (set, error) {
	if q.healthy == 0 {
		return 0, ErrNoHealthyNode
	}
	candidates := (q.route.current & q.healthy).minus(q.excluded)
	primary := candidates & q.route.primarySet()
	switch {
	case q.primaryOnly && primary == 0:
		return 0, ErrNoPrimary
	case primary != 0 && (q.primaryOnly || q.committing):
		return primary, nil
	case candidates == 0:
		return 0, ErrNoCurrentReplica
	default:
		return candidates, nil
	}
}

// read counts a read that goes to a storage.
func (g *group) read(place int, replicaPath string) ReadRoute {
	g.loads[place].Add(1)
	g.metrics.reads[place].Inc()
	return ReadRoute{
		Storage: g.storage(place), ReplicaPath: replicaPath, load: &g.loads[place],
	}
}

// StorageRead chooses a healthy storage for a read that concerns no repository. It returns
// [ErrUnknownVirtualStorage] or [ErrNoHealthyNode].
func (c *Coordinator) StorageRead(
	_ context.Context, virtualStorage VirtualStorage, exclude []Storage,
) (Storage, error) {
	group, err := c.group(virtualStorage)
	if err != nil {
		return "", err
	}
	candidates := group.healthy().minus(group.members(exclude))
	if candidates == 0 {
		return "", fmt.Errorf("route read of %q: %w", virtualStorage, ErrNoHealthyNode)
	}
	return group.storage(group.pick(candidates)), nil
}

// StorageWrite returns every healthy storage, for a write that concerns no repository: each node
// has to do it for itself. It returns [ErrUnknownVirtualStorage] or [ErrNoHealthyNode].
func (c *Coordinator) StorageWrite(virtualStorage VirtualStorage) ([]Storage, error) {
	group, err := c.group(virtualStorage)
	if err != nil {
		return nil, err
	}
	healthy := group.healthy()
	if healthy == 0 {
		return nil, fmt.Errorf("route write of %q: %w", virtualStorage, ErrNoHealthyNode)
	}
	return group.storages(healthy), nil
}

// MaintenanceRoute says where housekeeping runs.
type MaintenanceRoute struct {
	// Storages starts with the primary if that is among them.
	Storages    []Storage
	ReplicaPath string
}

// Maintenance returns every healthy assigned replica that was ever filled, current or not:
// housekeeping changes nothing that a reader can see.
func (c *Coordinator) Maintenance(ctx context.Context, key Key) (MaintenanceRoute, error) {
	group, err := c.group(key.VirtualStorage)
	if err != nil {
		return MaintenanceRoute{}, err
	}
	route, err := group.routes.get(ctx, key.RelativePath)
	if err != nil {
		return MaintenanceRoute{}, fmt.Errorf("route maintenance of %s: %w", key, err)
	}
	targets := route.assigned & route.present & group.healthy()
	if targets == 0 {
		return MaintenanceRoute{}, fmt.Errorf("route maintenance of %s: %w", key, ErrNoHealthyNode)
	}
	primary := targets & route.primarySet()
	return MaintenanceRoute{
		Storages:    append(group.storages(primary), group.storages(targets.minus(primary))...),
		ReplicaPath: route.replicaPath(),
	}, nil
}
