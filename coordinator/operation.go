package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"go.uber.org/zap"
)

const (
	// windowMax bounds the repositories that one statement looks at for losses.
	windowMax = 5000
	// unverifyMax bounds the replicas that one statement marks.
	unverifyMax = 5000
)

// ByPath sorts repositories by their paths.
func ByPath(found map[RepositoryID]Repository) []Repository {
	list := make([]Repository, 0, len(found))
	for _, repository := range found {
		list = append(list, repository)
	}
	slices.SortFunc(list, func(a, b Repository) int {
		return cmp.Compare(a.Key.RelativePath, b.Key.RelativePath)
	})
	return list
}

// Condition is what operators are told about a repository.
type Condition struct {
	Repository
	Replicas []ReplicaCondition
}

// ReplicaCondition is what operators are told about a replica. Assigned is false on a storage that
// is not configured any more.
type ReplicaCondition struct {
	Replica
	// Healthy is what the proxies find together.
	Healthy bool
	// ValidPrimary says that it can lead: it is current and healthy, and assigned unless no
	// assigned one can.
	ValidPrimary bool
}

// Available says that some replica can lead.
func (c Condition) Available() bool {
	return slices.ContainsFunc(c.Replicas, func(r ReplicaCondition) bool { return r.ValidPrimary })
}

// Leader is the primary, unless no replica can lead: then the repository has none.
func (c Condition) Leader() Storage {
	if !c.Available() {
		return ""
	}
	return c.Primary
}

// Describe returns the condition of a visible repository, read from the store.
func (c *Coordinator) Describe(ctx context.Context, key Key) (Condition, error) {
	group, err := c.group(key.VirtualStorage)
	if err != nil {
		return Condition{}, err
	}
	repository, err := c.store.Lookup(ctx, key)
	if err != nil {
		return Condition{}, fmt.Errorf("look for %s: %w", key, err)
	}
	return group.condition(repository), nil
}

// DescribeByID does the same by the id.
func (c *Coordinator) DescribeByID(ctx context.Context, id RepositoryID) (Condition, error) {
	repository, err := c.ByID(ctx, id)
	if err != nil {
		return Condition{}, err
	}
	group, err := c.group(repository.Key.VirtualStorage)
	if err != nil {
		return Condition{}, err
	}
	return group.condition(repository), nil
}

func (g *group) condition(repository Repository) Condition {
	route, fit := g.newRoute(repository), g.fit()
	valid := route.current & fit
	if valid&route.assigned != 0 {
		valid &= route.assigned
	}
	found := Condition{Repository: repository}
	for _, replica := range repository.Replicas {
		place := g.place(replica.Storage)
		configured := place != nowhere
		replica.Assigned = replica.Assigned && configured
		found.Replicas = append(found.Replicas, ReplicaCondition{
			Replica: replica, Healthy: configured && fit.has(place),
			ValidPrimary: configured && valid.has(place),
		})
	}
	return found
}

// Losses calls a function with every repository of a virtual storage that is not available on all
// its assigned storages, in the order of their paths. It stops at the first error.
func (c *Coordinator) Losses(
	ctx context.Context, virtualStorage VirtualStorage, visit func(Condition) error,
) error {
	group, err := c.group(virtualStorage)
	if err != nil {
		return err
	}
	window := Window{
		Page:       Page{VirtualStorage: virtualStorage, Limit: windowMax},
		Configured: group.config.Storages, Healthy: group.storages(group.fit()),
	}
	for {
		found, next, err := c.store.Deficient(ctx, window)
		if err != nil {
			return fmt.Errorf("look for losses in %q: %w", virtualStorage, err)
		}
		for _, repository := range found {
			if err := visit(group.condition(repository)); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		window.After = next
	}
}

// Accept makes the replica on a storage the only current one, whatever it holds: an operator gives
// up what the others may have that it has not. It does not wait for a turn that was left to
// recovery, as nobody may be able to decide it. Absent says that the node was asked and has the
// repository, though the metadata do not know of it. Errors match [ErrUnknownVirtualStorage],
// [ErrUnknownStorage], [ErrRepositoryNotFound], [ErrNoReplica] or [ErrBusy].
func (c *Coordinator) Accept(ctx context.Context, key Key, storage Storage, absent bool) error {
	group, err := c.group(key.VirtualStorage)
	if err != nil {
		return err
	}
	if group.place(storage) == nowhere {
		return fmt.Errorf("%w: %q", ErrUnknownStorage, storage)
	}
	found, err := c.store.Lookup(ctx, key)
	if err != nil {
		return fmt.Errorf("look for %s: %w", key, err)
	}
	waiting, cancel := context.WithTimeout(ctx, c.config.TurnWait)
	defer cancel()
	appointment := Appointment{
		Repository: found.ID, Storage: storage, Absent: absent, Settle: c.config.NodeDeadline,
	}
	hold, err := c.Hold(waiting, HoldRequest{Key: key, Repository: found.ID, Kind: KindHold})
	switch {
	case err == nil:
		appointment.Write = hold.Write()
		defer hold.Release()
	case !errors.Is(err, ErrBusy) && !errors.Is(err, ErrTurnTaken):
		return err
	}
	after, err := c.store.Appoint(ctx, appointment)
	if errors.Is(err, ErrTurnTaken) {
		err = fmt.Errorf("%w: %w", ErrBusy, err)
	}
	if err != nil {
		return fmt.Errorf("accept the replica of %s on %q: %w", key, storage, err)
	}
	group.routes.invalidate(key.RelativePath)
	c.awaitAcknowledged(ctx, after.Invalidated)
	c.wakeRepair()
	c.log.Warn("data loss accepted, the replica is the only current one", zap.Inline(after))
	c.noteAccepted(found, after)
	return nil
}

// SetReplicationFactor assigns a repository to so many storages, the primary's among them, and
// returns them sorted. Those that are added or taken away are chosen at random; the outdated and
// the unhealthy are taken away first. Replicas that are not assigned any more stay until the
// assigned ones are current. Errors match [ErrUnknownVirtualStorage], [ErrReplicationFactor],
// [ErrRepositoryNotFound] or [ErrBusy].
func (c *Coordinator) SetReplicationFactor(
	ctx context.Context, key Key, factor int,
) ([]Storage, error) {
	group, err := c.group(key.VirtualStorage)
	if err != nil {
		return nil, err
	}
	if err := group.checkFactor(factor); err != nil {
		return nil, err
	}
	found, err := c.store.Lookup(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", key, err)
	}
	assigned, err := c.assign(ctx, group, found, factor)
	if err != nil {
		return nil, fmt.Errorf("assign %s: %w", key, err)
	}
	return assigned, nil
}

func (g *group) checkFactor(factor int) error {
	if count := len(g.config.Storages); factor < 1 || factor > count {
		return &FactorError{Factor: factor, Storages: count}
	}
	return nil
}

func (c *Coordinator) assign(
	ctx context.Context, group *group, found Repository, factor int,
) ([]Storage, error) {
	waiting, cancel := context.WithTimeout(ctx, c.config.TurnWait)
	defer cancel()
	hold, err := c.Hold(waiting, HoldRequest{
		Key: found.Key, Repository: found.ID, Kind: KindHold,
	})
	if err != nil {
		return nil, err
	}
	defer hold.Release()
	chosen := group.resize(group.newRoute(hold.Repository), factor)
	after, err := c.store.Assign(ctx, Assignment{
		Repository: found.ID, Write: hold.Write(), Assigned: group.storages(chosen),
		Configured: group.config.Storages,
	})
	if err != nil {
		return nil, err
	}
	group.routes.invalidate(found.Key.RelativePath)
	c.awaitAcknowledged(ctx, after.Invalidated)
	c.wakeRepair()
	assigned := group.storages(chosen)
	slices.Sort(assigned)
	c.log.Info("assignments changed", zap.Inline(after), zap.Any("assigned", assigned))
	return assigned, nil
}

// resize chooses where a repository is meant to be. The primary is always among them.
func (g *group) resize(r route, factor int) set {
	healthy, chosen := g.healthy(), r.assigned|r.primarySet()
	for chosen.count() > factor {
		spare := chosen.minus(r.primarySet())
		if bad := spare.minus(r.current & healthy); bad != 0 {
			spare = bad
		}
		chosen = chosen.without(g.random(spare))
	}
	for chosen.count() < factor {
		chosen = chosen.with(g.random(g.all().minus(chosen)))
	}
	return chosen
}

// Unverify has replicas verified again as soon as possible and returns how many were not due for
// that already. Unknown names select nothing.
func (c *Coordinator) Unverify(ctx context.Context, selection Selection) (int64, error) {
	total := int64(0)
	for {
		count, err := c.store.Unverify(ctx, selection, unverifyMax)
		total += count
		if err != nil {
			return total, fmt.Errorf("mark replicas unverified: %w", err)
		}
		if count < unverifyMax {
			return total, nil
		}
	}
}

// NewTracking describes a repository that is on the disk of a storage already, under its path
// there. The others that it is assigned to are chosen like those of a new repository. The id that
// the path was made of is kept, as nodes recognise pools by it.
func (c Cluster) NewTracking(key Key, replicaPath string, authoritative Storage) Tracking {
	config := c.VirtualStorages[key.VirtualStorage]
	others := slices.DeleteFunc(slices.Clone(config.Storages), func(storage Storage) bool {
		return storage == authoritative
	})
	if factor := config.DefaultReplicationFactor; factor > 0 {
		rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		others = others[:min(factor-1, len(others))]
		slices.Sort(others)
	}
	return Tracking{
		ID: idOf(replicaPath), Key: key, ReplicaPath: replicaPath, Primary: authoritative,
		Present:    []Storage{authoritative},
		Assigned:   append([]Storage{authoritative}, others...),
		Everywhere: config.DefaultReplicationFactor == 0,
	}
}
