package world

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"praefect/coordinator"
	"praefect/coordinator/membership"
	"praefect/coordinator/recovery"
	"praefect/coordinator/removal"
	"praefect/coordinator/repair"
	"praefect/transaction/registry"
)

// The times of the product, shorter and in the same order as its defaults.
const (
	leaseFor     = 2 * time.Second
	marginFor    = 800 * time.Millisecond
	nodeDeadline = voteDeadline + 2*time.Second
	turnWait     = 4 * time.Second
	recordFor    = 4 * time.Second
	voteTimeout  = 5 * time.Second
	drainAborted = 3 * time.Second
	drainFor     = 6 * time.Second
	drainLocked  = nodeDeadline + time.Second
	settleFor    = 30 * time.Second
	graceFor     = 500 * time.Millisecond
	restless     = time.Second
)

const virtualStorage = coordinator.VirtualStorage("default")

// proxy is one life of a proxy process.
type proxy struct {
	world       *world
	process     *process
	links       view
	coordinator *coordinator.Coordinator
	registry    *registry.Registry
}

// unregistered takes metrics and shows them to nobody.
type unregistered struct{}

// Register implements prometheus.Registerer.
func (unregistered) Register(prometheus.Collector) error { return nil }

// MustRegister implements prometheus.Registerer.
func (unregistered) MustRegister(...prometheus.Collector) {}

// Unregister implements prometheus.Registerer.
func (unregistered) Unregister(prometheus.Collector) bool { return true }

// parts are what runs in a proxy.
type parts struct {
	membership *membership.Worker
	run        []func(context.Context) error
}

// newProxy starts a process: everything that the server composes, in the same order.
func newProxy(w *world, name string, links view) (*proxy, error) {
	p := &proxy{world: w, process: newProcess(w.chance, name), links: links}
	store := &connection{database: w.database, process: p.process, chance: w.chance}
	cluster := w.cluster()
	random := source{w.chance, p.process.life}
	members, err := membership.New(membership.Dependencies{
		Cluster: cluster, Store: store, Health: links, Registerer: unregistered{},
	}, w.log, membership.Config{
		Name: name, Lease: leaseFor, Margin: marginFor, Random: random,
	})
	if err != nil {
		return nil, err
	}
	p.coordinator, err = coordinator.New(coordinator.Dependencies{
		Cluster: cluster, Store: store, Health: links, Agreed: members, Lease: members,
		Peers: members, Registerer: unregistered{},
	}, w.log, coordinator.Config{
		TurnWait: turnWait, RecordTimeout: recordFor, LeaseEnd: leaseFor + marginFor,
		Drain: drainFor + restless, Settle: restless, NodeDeadline: nodeDeadline, Random: random,
	})
	if err != nil {
		return nil, err
	}
	p.registry, err = registry.New(unregistered{}, w.log, registry.Config{
		TurnWait: turnWait, TurnWaitLocked: turnWait / 3, VoteTimeout: voteTimeout,
		RecordTimeout: 2 * recordFor,
	})
	if err != nil {
		return nil, err
	}
	workers, err := p.workers(store, members, random)
	if err != nil {
		return nil, err
	}
	p.start(parts{membership: members, run: workers})
	return p, nil
}

func (p *proxy) workers(
	store *connection, lease coordinator.Lease, random source,
) ([]func(context.Context) error, error) {
	repairs, err := repair.New(repair.Dependencies{
		Cluster: p.world.cluster(), Store: store, Turns: p.coordinator, Copier: copier{p},
		Health: p.links, Due: p.coordinator.RepairDue(), Registerer: unregistered{},
	}, p.world.log, repair.Config{
		Claim: 4 * time.Second, Copy: time.Minute, Join: 20 * time.Second, Hold: turnWait,
		BackoffMax: 4 * time.Second, Random: random,
	})
	if err != nil {
		return nil, err
	}
	removals, err := removal.New(removal.Dependencies{
		Store: store, Remover: remover{p}, Health: p.links, Due: p.coordinator.RemovalDue(),
		Registerer: unregistered{},
	}, p.world.log, removal.Config{
		Retry: 5 * time.Second, Call: 4 * time.Second, Keep: nodeDeadline,
	})
	if err != nil {
		return nil, err
	}
	recoveries, err := recovery.New(recovery.Dependencies{
		Store: store, Digester: digester{p}, Turns: p.coordinator, Routes: p.coordinator,
		Health: p.links, Lease: lease, TurnsLeft: p.coordinator.TurnsLeft(),
		Registerer: unregistered{},
	}, p.world.log, recovery.Config{
		Settle: restless, Patience: 3 * time.Second, NodeDeadline: nodeDeadline,
		Ask: 5 * time.Second, Claim: 6 * time.Second, Hold: turnWait, Retry: 3 * time.Second,
		BackoffMax: time.Second,
	})
	if err != nil {
		return nil, err
	}
	return []func(context.Context) error{
		p.coordinator.Run, repairs.Run, removals.Run, recoveries.Run,
	}, nil
}

// start runs the parts until the process dies. What the parts then do has no effect.
func (p *proxy) start(of parts) {
	p.world.work.Go(func() {
		// It returns nil.
		_ = of.membership.Run(p.process.alive, membership.Local{
			Routes: p.coordinator, Notices: p.coordinator, Tail: p.coordinator,
		})
	})
	for _, run := range of.run {
		// Not in step with each other, since what happens at once happens in no order.
		delay := p.world.chance.between(0, restless, p.process.name, "start")
		p.world.work.Go(func() {
			if pause(p.process.alive, delay) == nil {
				// They return nil.
				_ = run(p.process.alive)
			}
		})
	}
}

// copier, remover and digester ask nodes in the name of a proxy.
type copier struct{ *proxy }

// Copy implements [repair.Copier]: the target fetches from the source.
func (c copier) Copy(ctx context.Context, job repair.Job) error {
	path := request{path: job.ReplicaPath}
	_, err := c.links[job.Target].call(ctx, c.process, path,
		func(ctx context.Context, at visit) error {
			if err := at.write(ctx); err != nil {
				return err
			}
			from := c.links[job.Source].node
			found := from.look(job.ReplicaPath)
			if process := from.current(); process.dead() || process.frozen() != nil {
				return errNodeGone
			}
			if found == nil {
				return errNoSuch
			}
			return at.replace(ctx, found)
		})
	return err
}

// Remove implements [repair.Copier].
func (c copier) Remove(ctx context.Context, job repair.Job) error {
	return c.remove(ctx, job.Target, job.ReplicaPath)
}

type remover struct{ *proxy }

// Remove implements [removal.Remover].
func (r remover) Remove(ctx context.Context, replica removal.Replica) error {
	return r.remove(ctx, replica.Storage, replica.ReplicaPath)
}

func (p *proxy) remove(ctx context.Context, storage coordinator.Storage, path string) error {
	_, err := p.links[storage].call(ctx, p.process, request{path: path},
		func(ctx context.Context, at visit) error { return at.remove(ctx) })
	return err
}

type digester struct{ *proxy }

// Digest implements [recovery.Digester].
func (d digester) Digest(ctx context.Context, question recovery.Question) (string, error) {
	digest := recovery.Absent
	_, err := d.links[question.Storage].call(ctx, d.process, request{path: question.ReplicaPath},
		func(_ context.Context, at visit) error {
			if found := at.look(question.ReplicaPath); found != nil {
				digest = found.digest()
			}
			return nil
		})
	if err != nil {
		return "", err
	}
	return digest, nil
}
