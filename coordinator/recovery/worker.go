package recovery

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"praefect/coordinator"
)

// Absent is the digest of a replica whose node has no such repository. It is never kept while
// another replica is there.
const Absent = "absent"

// Question names one replica and what is asked of it.
type Question struct {
	VirtualStorage coordinator.VirtualStorage
	Storage        coordinator.Storage
	ReplicaPath    string
	// Kind is that of the write in doubt, or [coordinator.KindVerification].
	Kind coordinator.WriteKind
}

// Digester asks nodes what they hold.
type Digester interface {
	// Digest returns a text that two replicas have in common exactly if they hold the same, or
	// [Absent]. An error says nothing about the repository. It ends when the context does.
	Digest(ctx context.Context, question Question) (string, error)
}

// Store is what recovery needs of the metadata.
type Store interface {
	coordinator.Recoverer
	coordinator.Verifier
	coordinator.Announcer
	Load(ctx context.Context, id coordinator.RepositoryID) (coordinator.Repository, error)
}

// Turns keeps writers away from a repository. The coordinator implements it.
type Turns interface {
	// Lead has another primary elected if the proxies agree that the present one is lost.
	Lead(ctx context.Context, key coordinator.Key) error
	// Hold takes the turn; see [coordinator.Coordinator.Hold].
	Hold(ctx context.Context, request coordinator.HoldRequest) (*coordinator.Hold, error)
}

// Routes is told what has changed. The coordinator implements it.
type Routes interface {
	// Invalidate drops what is cached of a repository.
	Invalidate(key coordinator.Key)
	// Notify lets writers of this process know that the turn is free.
	Notify(notice coordinator.Notice)
}

// Dependencies are what a [Worker] works with. None may be nil, except TurnsLeft.
type Dependencies struct {
	// Cluster has the virtual storages that are counted from the start.
	Cluster  coordinator.Cluster
	Store    Store
	Digester Digester
	Turns    Turns
	Routes   Routes
	Health   coordinator.Health
	Lease    coordinator.Lease
	// TurnsLeft may receive a value when a turn was left to recovery.
	TurnsLeft  <-chan struct{}
	Registerer prometheus.Registerer
	// Journal may be nil.
	Journal coordinator.Journal
}

// Worker recovers and verifies, so many repositories at once as its bounds allow.
type Worker struct {
	Dependencies
	config  Config
	metrics *metrics
	log     *zap.Logger

	// asking has room for the recoveries that ask nodes right now.
	asking chan struct{}

	mu sync.Mutex // guards the fields below
	// running are the recoveries under way, those that wait for nodes included.
	running map[adoptionKey]*recovery
	// verifying counts the verifications under way.
	verifying int
	// unlocking are the repositories of which locks are looked for.
	unlocking map[coordinator.RepositoryID]bool
}

// adoptionKey tells adoptions apart, also those of one turn.
type adoptionKey struct {
	write  coordinator.WriteID
	number int64
}

// New returns a worker. Errors match [ErrInvalidConfig] or come from the registerer.
func New(dependencies Dependencies, log *zap.Logger, config Config) (*Worker, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	dependencies.Journal = coordinator.JournalOr(dependencies.Journal)
	metrics, err := newMetrics(dependencies.Registerer, dependencies.Cluster)
	if err != nil {
		return nil, err
	}
	return &Worker{
		Dependencies: dependencies, config: config, metrics: metrics, log: log,
		running: map[adoptionKey]*recovery{}, unlocking: map[coordinator.RepositoryID]bool{},
		asking: make(chan struct{}, config.Recoveries),
	}, nil
}

// Run recovers and verifies until the context ends, gives up what is under way, and returns nil.
// Turns that were adopted and not resolved are adopted by others when this incarnation has ended.
func (w *Worker) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	poll := time.NewTicker(w.config.Poll)
	defer poll.Stop()
	for {
		w.beginRecoveries(ctx, &work)
		w.adoptAnnouncements(ctx)
		w.beginVerifications(ctx, &work)
		select {
		case <-w.TurnsLeft:
		case <-poll.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// beginRecoveries adopts some more turns. Those that this process has adopted already are among the
// answers: some of them may be news, if an earlier answer was lost. However many wait for nodes
// that are away, others are adopted beside them.
func (w *Worker) beginRecoveries(ctx context.Context, work *sync.WaitGroup) {
	incarnation, leased := w.Lease.Incarnation()
	if !leased {
		return
	}
	adoptions, err := w.Store.AdoptTurns(ctx, incarnation, w.adoptionsWanted())
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, coordinator.ErrLeaseLost) {
			w.log.Warn("turns without an owner are not looked for", zap.Error(err))
		}
		return
	}
	for _, adoption := range adoptions {
		if begun := w.track(adoption, incarnation); begun != nil {
			w.metrics.adoptions.Inc()
			work.Go(func() {
				defer w.forget(begun)
				begun.run(ctx)
			})
		}
	}
}

func (w *Worker) adoptionsWanted() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return min(len(w.running)+adoptionsAtOnce, adoptionsMax)
}

// track returns a recovery to run, or nil if it is running already. A running one learns who has
// ended since.
func (w *Worker) track(
	adoption coordinator.Adoption, owner coordinator.Incarnation,
) *recovery {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := adoptionKey{adoption.Write, adoption.Number}
	if running, ok := w.running[key]; ok {
		running.learn(adoption.Ended)
		return nil
	}
	begun := newRecovery(w, adoption, owner)
	w.running[key] = begun
	w.metrics.inFlight.Inc()
	return begun
}

func (w *Worker) forget(ended *recovery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.running, adoptionKey{ended.adoption.Write, ended.adoption.Number})
	w.metrics.inFlight.Dec()
}

// adoptAnnouncements has replicas compared that a process may have left in the middle of something
// that nobody votes on.
func (w *Worker) adoptAnnouncements(ctx context.Context) {
	if _, leased := w.Lease.Incarnation(); !leased {
		return
	}
	count, err := w.Store.AdoptAnnouncements(ctx, adoptionsAtOnce, w.config.NodeDeadline)
	switch {
	case err != nil && ctx.Err() == nil:
		w.log.Warn("calls without an owner are not looked for", zap.Error(err))
	case count > 0:
		w.log.Info("replicas are compared because a proxy is gone in the middle of calls",
			zap.Int("repositories", count))
	}
}

// beginVerifications claims as many due verifications as there is room for.
func (w *Worker) beginVerifications(ctx context.Context, work *sync.WaitGroup) {
	w.mu.Lock()
	room := w.config.Verifications - w.verifying
	w.mu.Unlock()
	if _, leased := w.Lease.Incarnation(); !leased || room <= 0 {
		return
	}
	claimed, err := w.Store.ClaimVerifications(ctx, room, w.config.Claim)
	if err != nil {
		if ctx.Err() == nil {
			w.log.Warn("due verifications are not claimed", zap.Error(err))
		}
		return
	}
	for _, verification := range claimed {
		w.occupy(1)
		work.Go(func() {
			defer w.occupy(-1)
			w.verify(ctx, verification)
		})
	}
}

func (w *Worker) occupy(change int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.verifying += change
}
