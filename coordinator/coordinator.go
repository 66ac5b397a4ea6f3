package coordinator

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// settlePause is how often ends of turns are tried again that the store did not take.
const settlePause = 250 * time.Millisecond

// sweepEvery says after how many of these pauses it is looked for what nobody holds. It happens
// after a connection has stalled for seconds, and then writers wait.
const sweepEvery = 8

// Dependencies are what a [Coordinator] works with. None may be nil but for the journal.
type Dependencies struct {
	Cluster Cluster
	Store   Store
	// Health is what this process finds of the nodes, Agreed what the proxies find together.
	Health, Agreed Health
	Lease          Lease
	Peers          Peers
	Registerer     prometheus.Registerer
	// Journal may be nil.
	Journal Journal
}

// Lease is the right of this process to commit, to record and to use what it has cached.
type Lease interface {
	// Incarnation returns the present incarnation, and whether its lease holds at this moment. It
	// is asked for each cached read.
	Incarnation() (Incarnation, bool)
}

// Peers are the other proxies of the cluster.
type Peers interface {
	// AwaitAcknowledged waits until each of them has applied the invalidation and all before, or
	// lives no more.
	AwaitAcknowledged(ctx context.Context, awaited Sequence) error
}

// Coordinator decides where reads and writes go and records what became of them. The package
// documentation explains the rules. Safe for concurrent use.
type Coordinator struct {
	config    Config
	store     Store
	lease     Lease
	groups    map[VirtualStorage]*group
	lines     *lines
	peers     Peers
	leftovers *leftovers
	calls     *calls
	journal   Journal
	recent    *recent
	metrics   *metrics
	log       *zap.Logger
	random    Random
	repairs   chan struct{}
	removals  chan struct{}
	turnsLeft chan struct{}
}

// New returns a coordinator for the cluster. Errors match [ErrInvalidCluster] or
// [ErrInvalidConfig], or come from the registerer.
func New(dependencies Dependencies, log *zap.Logger, config Config) (*Coordinator, error) {
	if err := dependencies.Cluster.Validate(); err != nil {
		return nil, err
	}
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config = config.WithDefaults()
	shared := &budget{limit: config.RouteBytes}
	metrics, err := newMetrics(dependencies.Registerer, shared)
	if err != nil {
		return nil, err
	}
	c := &Coordinator{
		config: config, store: dependencies.Store, lease: dependencies.Lease,
		peers: dependencies.Peers, leftovers: newLeftovers(dependencies.Store, log),
		recent: newRecent(), lines: newLines(config.QueueMax), calls: newCalls(),
		groups: map[VirtualStorage]*group{}, metrics: metrics, log: log,
		journal: JournalOr(dependencies.Journal),
		random:  NewRandom(config.Random),
		// One pending wake-up is enough: it says that there is work, not how much.
		repairs: make(chan struct{}, 1), removals: make(chan struct{}, 1),
		turnsLeft: make(chan struct{}, 1),
	}
	for name, virtualStorage := range dependencies.Cluster.VirtualStorages {
		c.groups[name] = c.newGroup(name, virtualStorage, views{
			local: dependencies.Health, agreed: dependencies.Agreed,
		}, shared)
	}
	return c, nil
}

// Run ends the turns in the store that could not be ended when their calls did. It returns nil when
// the context ends, after a last try.
func (c *Coordinator) Run(ctx context.Context) error {
	settle := time.NewTicker(settlePause)
	defer settle.Stop()
	for pauses := 1; ; pauses++ {
		select {
		case <-settle.C:
		case <-ctx.Done():
			c.endLast(ctx)
			return nil
		}
		c.metrics.leftOpen.Set(float64(c.leftovers.endAll(ctx)))
		if pauses%sweepEvery == 0 {
			c.sweep(ctx)
		}
	}
}

// endLast tries for the last time, as whatever is left is left to recovery.
func (c *Coordinator) endLast(ctx context.Context) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	c.leftovers.endAll(bounded)
}

// RepairDue receives a value after a record of this process left a replica behind.
func (c *Coordinator) RepairDue() <-chan struct{} { return c.repairs }

// RemovalDue receives a value after this process began to delete a repository.
func (c *Coordinator) RemovalDue() <-chan struct{} { return c.removals }

// TurnsLeft receives a value after a turn was left to recovery, by this process or another.
func (c *Coordinator) TurnsLeft() <-chan struct{} { return c.turnsLeft }

func (c *Coordinator) wakeRepair() { wake(c.repairs) }

func wake(channel chan<- struct{}) {
	select {
	case channel <- struct{}{}:
	default:
	}
}

func (c *Coordinator) group(name VirtualStorage) (*group, error) {
	found, ok := c.groups[name]
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrUnknownVirtualStorage, name)
	}
	return found, nil
}
