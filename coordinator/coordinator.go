package coordinator

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// settlePause is how often outcomes are tried again that the store did not take.
const settlePause = time.Second

// Dependencies are what a [Coordinator] works with. None may be nil.
type Dependencies struct {
	Cluster    Cluster
	Store      Store
	Health     Health
	Lease      Lease
	Registerer prometheus.Registerer
}

// Lease is the right of this process to commit, to record and to use what it has cached.
type Lease interface {
	// Incarnation returns the present incarnation, and whether its lease holds at this moment. It
	// is asked for each cached read.
	Incarnation() (Incarnation, bool)
}

// Coordinator decides where reads and writes go and records what became of them. The package
// documentation explains the rules. Safe for concurrent use.
type Coordinator struct {
	config    Config
	store     Store
	lease     Lease
	groups    map[VirtualStorage]*group
	lines     *lines
	unsettled unsettled
	metrics   *metrics
	log       *zap.Logger
	repairs   chan struct{}
	removals  chan struct{}
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
	metrics, err := newMetrics(dependencies.Registerer)
	if err != nil {
		return nil, err
	}
	config = config.WithDefaults()
	c := &Coordinator{
		config: config, store: dependencies.Store, lease: dependencies.Lease,
		lines: newLines(config.QueueMax),
		groups: map[VirtualStorage]*group{}, metrics: metrics, log: log,
		// One pending wake-up is enough: it says that there is work, not how much.
		repairs: make(chan struct{}, 1), removals: make(chan struct{}, 1),
	}
	shared := &budget{limit: config.RouteBytes}
	for name, virtualStorage := range dependencies.Cluster.VirtualStorages {
		c.groups[name] = c.newGroup(name, virtualStorage, dependencies.Health, shared)
	}
	return c, nil
}

// Run does what outlives single calls: it tries outcomes again that could not be recorded and
// keeps creations alive. It returns nil when the context ends.
func (c *Coordinator) Run(ctx context.Context) error {
	settle := time.NewTicker(settlePause)
	defer settle.Stop()
	for {
		select {
		case <-settle.C:
			c.settle(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// RepairDue receives a value after a record of this process left a replica behind.
func (c *Coordinator) RepairDue() <-chan struct{} { return c.repairs }

// RemovalDue receives a value after this process began to delete a repository.
func (c *Coordinator) RemovalDue() <-chan struct{} { return c.removals }

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
