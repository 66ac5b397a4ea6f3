package membership

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"praefect/coordinator"
)

// Dependencies are what a [Worker] works with. None may be nil.
type Dependencies struct {
	Cluster coordinator.Cluster
	Store   coordinator.Members
	// Health is what this process alone finds of the storages.
	Health     coordinator.Health
	Registerer prometheus.Registerer
}

// Worker keeps the lease of this process. It implements coordinator.Lease, coordinator.Health, for
// what the proxies find together, and coordinator.Peers. Safe for concurrent use.
type Worker struct {
	Dependencies
	config  Config
	metrics *metrics
	log     *zap.Logger
	random  coordinator.Random

	// lease is never nil.
	lease atomic.Pointer[lease]
	// opinion is nil before the first renewal, and so never while the lease holds.
	opinion atomic.Pointer[opinion]
	// news receives a value when there are new invalidations; one is enough to ask for all.
	news     chan struct{}
	enlisted chan struct{}
	once     sync.Once
}

// New returns a worker whose lease does not hold. Errors match [ErrInvalidConfig] or come from the
// registerer.
func New(dependencies Dependencies, log *zap.Logger, config Config) (*Worker, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	w := &Worker{
		Dependencies: dependencies, config: config.WithDefaults(), log: log,
		random: coordinator.NewRandom(config.Random),
		news:   make(chan struct{}, 1), enlisted: make(chan struct{}),
	}
	w.lease.Store(&lease{over: true})
	metrics, err := newMetrics(dependencies.Registerer, func() bool {
		_, holds := w.Incarnation()
		return holds
	})
	if err != nil {
		return nil, err
	}
	w.metrics = metrics
	return w, nil
}

// Enlisted is closed when the lease holds for the first time.
func (w *Worker) Enlisted() <-chan struct{} { return w.enlisted }

// Routes are what is cached of the metadata. Both methods return when it is done, and soon, since
// the lease is not renewed meanwhile.
type Routes interface {
	// Invalidate makes sure that no route of the repository that was loaded before is used after.
	Invalidate(key coordinator.Key)
	// Forget does so for all repositories.
	Forget()
}

// Notices are told what other processes do about turns, one after the other and without waiting.
type Notices interface {
	Notify(notice coordinator.Notice)
}

// Tail has the repositories compared that were written to lately. It may take its time.
type Tail interface {
	TailLost(ctx context.Context)
}

// Local is what follows in this process from what the cluster does. None may be nil. A coordinator
// is all three.
type Local struct {
	Routes  Routes
	Notices Notices
	Tail    Tail
}

// Run takes a lease, keeps it, and takes another one whenever it is lost, for as long as it takes.
// When the context ends it gives the lease back, so it is to end after everything that needs the
// lease, and returns nil. It must be called once. The first lease should be taken when the health
// of the storages is known, since that is reported at once.
func (w *Worker) Run(ctx context.Context, local Local) error {
	var helpers sync.WaitGroup
	defer helpers.Wait()
	k := newKeeper(w, local)
	helpers.Go(func() { w.listen(ctx, local.Notices) })
	helpers.Go(func() { k.tail.tell(ctx, local.Tail, w.log) })
	for {
		alive, ok := k.enlist(ctx)
		if !ok {
			break
		}
		k.keep(alive)
		k.review(ctx, alive)
	}
	k.resign(ctx)
	return nil
}

// listen receives notices until the context ends.
func (w *Worker) listen(ctx context.Context, notices Notices) {
	receive := func(notice coordinator.Notice) {
		if notice.Kind == coordinator.NoticeInvalidated {
			wake(w.news)
			return
		}
		notices.Notify(notice)
	}
	for ctx.Err() == nil {
		if err := w.Store.Listen(ctx, receive); err != nil && ctx.Err() == nil {
			w.log.Warn("notices of other proxies are not received", zap.Error(err))
		}
		wait(ctx, pauseListen)
	}
}

// wake leaves a value unless one is waiting already.
func wake(channel chan<- struct{}) {
	select {
	case channel <- struct{}{}:
	default:
	}
}
