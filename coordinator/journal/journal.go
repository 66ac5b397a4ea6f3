package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"praefect/coordinator"
)

// Defaults of [Config].
const (
	defaultPause = time.Second
	defaultQueue = 10_000
	defaultBatch = 500
	defaultKeep  = 50_000
)

// lastMax bounds the last attempt to write, when the process ends.
const lastMax = 2 * time.Second

// Store keeps the journal.
type Store interface {
	// AppendEntries adds entries of the named proxy, in their order.
	AppendEntries(ctx context.Context, proxy string, entries []coordinator.Entry) error
	// PruneEntries removes the oldest notable and the oldest ordinary entries, so that as many as
	// given are kept of each; it may remove only a part of them.
	PruneEntries(ctx context.Context, keep int) error
}

// Config says how much is kept, where. Zero values mean the defaults.
type Config struct {
	// Proxy is the name of this one.
	Proxy string
	// Pause is how long ordinary entries wait to be written together, by default 1 s.
	Pause time.Duration
	// Queue bounds the entries of each kind that wait, by default 10,000.
	Queue int
	// Batch bounds the entries of one statement, by default 500.
	Batch int
	// Keep is how many entries of each kind the store keeps, by default 50,000.
	Keep int
}

func (c Config) withDefaults() Config {
	c.Pause = cmp.Or(c.Pause, defaultPause)
	c.Queue = cmp.Or(c.Queue, defaultQueue)
	c.Batch = cmp.Or(c.Batch, defaultBatch)
	c.Keep = cmp.Or(c.Keep, defaultKeep)
	return c
}

// Journal is the queue in front of the store. Safe for concurrent use.
type Journal struct {
	store   Store
	config  Config
	log     *zap.Logger
	dropped prometheus.Counter
	wake    chan struct{}

	// pending was taken from the queues and is not written yet. It belongs to Run, as does written,
	// the entries since the last pruning.
	pending []coordinator.Entry
	written int

	mu sync.Mutex // guards the fields below
	// ordinary and notable entries wait to be written.
	ordinary, notable []coordinator.Entry
}

// New returns a journal that writes once [Journal.Run] runs.
func New(
	store Store, registerer prometheus.Registerer, log *zap.Logger, config Config,
) (*Journal, error) {
	j := &Journal{
		store: store, config: config.withDefaults(), log: log, wake: make(chan struct{}, 1),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gitaly_praefect_journal_dropped_total",
			Help: "Entries of the journal of outcomes that could not be written",
		}),
	}
	if err := registerer.Register(j.dropped); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return j, nil
}

// Note implements [coordinator.Journal].
func (j *Journal) Note(entry coordinator.Entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !entry.Notable {
		j.ordinary = j.add(j.ordinary, entry)
		return
	}
	j.notable = j.add(j.notable, entry)
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

func (j *Journal) add(
	queue []coordinator.Entry, entry coordinator.Entry,
) []coordinator.Entry {
	if len(queue) >= j.config.Queue {
		j.dropped.Inc()
		queue = queue[1:]
	}
	return append(queue, entry)
}

// Run writes until the context ends, and then once more. It returns nil.
func (j *Journal) Run(ctx context.Context) error {
	tick := time.NewTicker(j.config.Pause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-j.wake:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastMax)
			j.flush(last)
			cancel()
			return nil
		}
		j.flush(ctx)
	}
}

// flush writes all that waits, as long as the store takes it.
func (j *Journal) flush(ctx context.Context) {
	for j.take() {
		err := j.store.AppendEntries(ctx, j.config.Proxy, j.pending)
		if errors.Is(err, coordinator.ErrMetadataUnavailable) || ctx.Err() != nil {
			return
		}
		if err != nil {
			// What the store refuses once it refuses again.
			j.dropped.Add(float64(len(j.pending)))
			j.log.Error("entries of the journal are refused", zap.Error(err))
		}
		j.written += len(j.pending)
		j.pending = nil
	}
	j.prune(ctx)
}

// take fills the batch, notable entries first. It says whether there is one.
func (j *Journal) take() bool {
	if len(j.pending) > 0 {
		return true
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	room := j.config.Batch
	for _, queue := range []*[]coordinator.Entry{&j.notable, &j.ordinary} {
		count := min(room, len(*queue))
		for _, entry := range (*queue)[:count] {
			j.pending = append(j.pending, entry.Clipped())
		}
		*queue, room = (*queue)[count:], room-count
		if len(*queue) == 0 {
			*queue = nil // The room of a rush is given back.
		}
	}
	return len(j.pending) > 0
}

// prune removes old entries once a tenth of what is kept was written.
func (j *Journal) prune(ctx context.Context) {
	if j.written < j.config.Keep/10 {
		return
	}
	if err := j.store.PruneEntries(ctx, j.config.Keep); err != nil {
		if ctx.Err() == nil {
			j.log.Warn("old entries of the journal are kept for now", zap.Error(err))
		}
		return
	}
	j.written = 0
}
