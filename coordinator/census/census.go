package census

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"praefect/coordinator"
)

// Dependencies are what a [Census] works with. None may be nil.
type Dependencies struct {
	Cluster coordinator.Cluster
	Store   coordinator.Tallier
	// Health is what the proxies find together.
	Health coordinator.Health
	// Registerer is where failures are counted. What the counts say is collected from the census
	// itself, which the caller registers where it is to be scraped.
	Registerer prometheus.Registerer
}

// Census is a [prometheus.Collector]. Safe for concurrent use.
type Census struct {
	Dependencies
	config   Config
	log      *zap.Logger
	families families
	failures *prometheus.CounterVec
	// wanted receives a value when a scrape waits for a count; one is enough.
	wanted chan struct{}

	mu sync.Mutex // guards the fields below
	// last is nil before the first count; it is never changed.
	last *sample
	// next is when the next count may begin.
	next time.Time
	// counted is closed, and replaced, at the end of each count.
	counted chan struct{}
}

// sample is what one count found.
type sample struct {
	at      time.Time
	metrics []prometheus.Metric
}

// New returns a census. Errors match [ErrInvalidConfig] or come from the registerer.
func New(dependencies Dependencies, log *zap.Logger, config Config) (*Census, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	c := &Census{
		Dependencies: dependencies, config: config, log: log, families: newFamilies(),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_praefect_database_count_failures_total",
			Help: "Counts for database metrics that failed, by what was to be counted",
		}, []string{"count"}),
		wanted: make(chan struct{}, 1), counted: make(chan struct{}),
	}
	for _, count := range c.counts() {
		c.failures.WithLabelValues(count.name)
	}
	if err := dependencies.Registerer.Register(c.failures); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return c, nil
}

// Run counts when a scrape wants it, until the context ends, and returns nil then.
func (c *Census) Run(ctx context.Context) error {
	for {
		select {
		case <-c.wanted:
			c.count(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// count makes a sample.
func (c *Census) count(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	made := &sample{at: time.Now()}
	for _, count := range c.counts() {
		tallies, err := count.ask(ctx)
		if err != nil {
			c.failures.WithLabelValues(count.name).Inc()
			c.log.Error(count.failed, zap.Error(err))
			continue
		}
		made.metrics = append(made.metrics, count.show(tallies)...)
	}
	took := time.Since(made.at)

	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = made
	c.next = time.Now().Add(max(c.config.Pause, (share-1)*took))
	close(c.counted)
	c.counted = make(chan struct{})
}

// Describe implements [prometheus.Collector].
func (c *Census) Describe(descriptions chan<- *prometheus.Desc) {
	for _, family := range c.families.all() {
		descriptions <- family
	}
}

// Collect implements [prometheus.Collector]. See the package for how long it may take.
func (c *Census) Collect(metrics chan<- prometheus.Metric) {
	last := c.latest()
	if last == nil || time.Since(last.at) >= c.config.Stale {
		return
	}
	for _, metric := range last.metrics {
		metrics <- metric
	}
	metrics <- gauge(c.families.age, time.Since(last.at).Seconds())
}

// latest returns a fresh sample, or after some time of waiting the one before, which may be nil.
func (c *Census) latest() *sample {
	c.mu.Lock()
	last, next, counted := c.last, c.next, c.counted
	c.mu.Unlock()
	if time.Now().Before(next) {
		return last
	}
	select {
	case c.wanted <- struct{}{}:
	default:
	}
	patience := time.NewTimer(c.config.Patience)
	defer patience.Stop()
	select {
	case <-counted:
	case <-patience.C:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}
