package registry

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"praefect/transaction"
)

// shardCount spreads the lock of the map of live transactions; a power of two well above the
// number of cores.
const shardCount = 64

// Registry holds the transactions of this process that are under way. It is safe for concurrent
// use.
type Registry struct {
	log     *zap.Logger
	config  Config
	metrics *metrics
	lags    *lags
	shards  [shardCount]shard
}

type shard struct {
	mu    sync.RWMutex
	lives map[uint64]*Live // guarded by mu
}

// New returns a registry without transactions whose metrics are registered with registerer. It
// fails with [ErrInvalidConfig], or when a metric is registered already.
func New(registerer prometheus.Registerer, log *zap.Logger, config Config) (*Registry, error) {
	config = config.WithDefaults()
	if err := config.Validate(); err != nil {
		return nil, err
	}
	m, err := newMetrics(registerer, config)
	if err != nil {
		return nil, err
	}
	r := &Registry{
		log: log.Named("transaction"), config: config, metrics: m, lags: newLags(config),
	}
	for i := range r.shards {
		r.shards[i].lives = make(map[uint64]*Live)
	}
	return r, nil
}

// Options describe one transaction.
type Options struct {
	// VirtualStorage labels the metrics.
	VirtualStorage string
	// Voting says who votes. See [transaction.New] for its errors.
	Voting transaction.Config
	// Writer takes turns and records outcomes for this transaction. It is not called any more
	// after Finish has returned without error.
	Writer Writer
	// Observer, if not nil, is told of the steps of the transaction.
	Observer Observer
}

// Begin starts a transaction. Its id is a random positive number of 63 bits that no live
// transaction of this process has. The context only lends its values to what the transaction does
// in the background; its end does not end the transaction. The caller must call Finish.
func (r *Registry) Begin(ctx context.Context, o Options) (*Live, error) {
	tx, err := transaction.New(o.Voting)
	if err != nil {
		return nil, fmt.Errorf("begin transaction: %w", err)
	}
	l := newLive(context.WithoutCancel(ctx), r, tx, o)
	for {
		id, err := randomID()
		if err != nil {
			return nil, err
		}
		if r.insert(id, l) {
			break
		}
	}
	r.metrics.begun(o)
	return l, nil
}

// randomID returns a positive number of 63 bits. Randomness makes an id that a node remembers
// from an earlier life of this process name nothing.
func randomID() (uint64, error) {
	var b [8]byte
	for {
		if _, err := rand.Read(b[:]); err != nil {
			return 0, fmt.Errorf("draw transaction id: %w", err)
		}
		if id := binary.LittleEndian.Uint64(b[:]) >> 1; id != 0 {
			return id, nil
		}
	}
}

func (r *Registry) shard(id uint64) *shard { return &r.shards[id%shardCount] }

func (r *Registry) insert(id uint64, l *Live) bool {
	s := r.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.lives[id]; taken {
		return false
	}
	l.id = id
	s.lives[id] = l
	return true
}

func (r *Registry) remove(id uint64) {
	s := r.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lives, id)
}

// find returns the live transaction, or [ErrNotFound].
func (r *Registry) find(id uint64) (*Live, error) {
	s := r.shard(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	l, ok := s.lives[id]
	if !ok {
		return nil, fmt.Errorf("%w: %d", ErrNotFound, id)
	}
	return l, nil
}
