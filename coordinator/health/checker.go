package health

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"praefect/coordinator"
)

// Verdict is what one check says about a node.
type Verdict uint8

const (
	// Inconclusive says nothing about the node.
	Inconclusive Verdict = iota
	// Serving says that the node answered and serves.
	Serving
	// Missed says that no answer came in time.
	Missed
	// Refused says that no connection can be made, that it broke, or that the node answered that
	// it does not serve.
	Refused
)

// Prober asks one node. The context's deadline bounds the call. The error tells why the verdict is
// not [Serving].
type Prober interface {
	Probe(
		ctx context.Context, virtualStorage coordinator.VirtualStorage, storage coordinator.Storage,
	) (Verdict, error)
}

// Checker keeps the view of all storages. It implements coordinator.Health. Safe for concurrent
// use.
type Checker struct {
	prober  Prober
	config  Config
	nodes   []*node
	byName  map[name]*node
	log     *zap.Logger
	checked chan struct{}
	once    sync.Once
}

type name struct {
	virtualStorage coordinator.VirtualStorage
	storage        coordinator.Storage
}

// node is the state of one storage.
type node struct {
	name
	healthy atomic.Bool
	gauge   prometheus.Gauge
	up      prometheus.Gauge
	latency prometheus.Observer

	mu sync.Mutex // guards the fields below and the changes of healthy
	// misses counts unanswered checks in a row.
	misses int
	// judged says that there was a verdict.
	judged bool
}

// New returns a checker to which all storages of the cluster are unknown.
func New(
	prober Prober, cluster coordinator.Cluster, registerer prometheus.Registerer,
	log *zap.Logger, config Config,
) (*Checker, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	metrics, err := newMetrics(registerer, config)
	if err != nil {
		return nil, err
	}
	c := &Checker{
		prober: prober, config: config.withDefaults(), byName: map[name]*node{}, log: log,
		checked: make(chan struct{}),
	}
	for virtualStorage, members := range cluster.VirtualStorages {
		for _, storage := range members.Storages {
			added := &node{
				name:    name{virtualStorage, storage},
				gauge:   metrics.healthy.WithLabelValues(string(virtualStorage), string(storage)),
				up:      metrics.up.WithLabelValues(string(storage)),
				latency: metrics.latency.WithLabelValues(string(storage)),
			}
			c.nodes = append(c.nodes, added)
			c.byName[added.name] = added
		}
	}
	return c, nil
}

// Healthy says whether a storage may be used. A storage that the cluster does not have is not.
func (c *Checker) Healthy(
	virtualStorage coordinator.VirtualStorage, storage coordinator.Storage,
) bool {
	found, ok := c.byName[name{virtualStorage, storage}]
	return ok && found.healthy.Load()
}

// Checked is closed once every storage was asked for the first time.
func (c *Checker) Checked() <-chan struct{} { return c.checked }

// Run asks all nodes at once and then each interval. It returns nil when the context ends, and
// must be called once.
func (c *Checker) Run(ctx context.Context) error {
	c.log.Info("health manager started")
	tick := time.NewTicker(c.config.Interval)
	defer tick.Stop()
	for {
		c.round(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// round asks every node and waits for the answers, or for the time to run out.
func (c *Checker) round(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	var group errgroup.Group
	for _, asked := range c.nodes {
		group.Go(func() error {
			begin := time.Now()
			verdict, err := c.prober.Probe(ctx, asked.virtualStorage, asked.storage)
			if verdict == Serving {
				asked.latency.Observe(time.Since(begin).Seconds())
			}
			c.judge(asked, verdict, err)
			return nil
		})
	}
	// The probes return nothing; their verdicts are kept already.
	_ = group.Wait()
	c.once.Do(func() { close(c.checked) })
}

// Report tells of a verdict from elsewhere, such as a call whose connection was refused, so that
// nobody has to wait for the next round.
func (c *Checker) Report(
	virtualStorage coordinator.VirtualStorage, storage coordinator.Storage, verdict Verdict,
	err error,
) {
	if found, ok := c.byName[name{virtualStorage, storage}]; ok {
		c.judge(found, verdict, err)
	}
}

// judge takes a verdict into the state of a storage and logs what it changes, also that the storage
// is not healthy from the beginning.
func (c *Checker) judge(about *node, verdict Verdict, reason error) {
	about.mu.Lock()
	defer about.mu.Unlock()
	if verdict == Serving {
		about.up.Set(1)
	} else {
		about.up.Set(0)
	}
	before, first := about.healthy.Load(), !about.judged
	about.judged = true
	after := about.next(before, verdict, c.config.Misses)
	if before == after && (after || !first) {
		return
	}
	about.healthy.Store(after)
	log := c.log.With(zap.String("virtual_storage", string(about.virtualStorage)),
		zap.String("storage", string(about.storage)))
	if after {
		about.gauge.Set(1)
		log.Info("storage is healthy")
		return
	}
	about.gauge.Set(0)
	log.Error("failed checking node health", zap.Error(reason))
}

// next counts misses and says whether the storage is healthy from now on.
func (n *node) next(healthy bool, verdict Verdict, misses int) bool {
	switch verdict {
	case Serving:
		n.misses = 0
		return true
	case Refused:
		n.misses = 0
		return false
	case Missed:
		n.misses++
		return healthy && n.misses < misses
	case Inconclusive:
	}
	return healthy
}
