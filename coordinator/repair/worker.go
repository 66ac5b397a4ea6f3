package repair

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"praefect/coordinator"
)

// Store is what repairs need of the metadata.
type Store interface {
	coordinator.Repairer
	Load(ctx context.Context, id coordinator.RepositoryID) (coordinator.Repository, error)
}

// Turns lets the end of a repair exclude the writes of this process. The coordinator implements
// it.
type Turns interface {
	AwaitJoined(ctx context.Context, claim coordinator.RepairClaim) error
	Hold(ctx context.Context, request coordinator.HoldRequest) (*coordinator.Hold, error)
}

// Copier works on the nodes. Its calls end when their context does.
type Copier interface {
	// Copy makes the target's replica equal to the source's, whether or not there is one, and links
	// it to the same object pool.
	Copy(ctx context.Context, job Job) error
	// Remove removes the target's replica from its disk; that there is none is success.
	Remove(ctx context.Context, job Job) error
}

// Job names one replica on two nodes.
type Job struct {
	VirtualStorage coordinator.VirtualStorage
	ReplicaPath    string
	Source, Target coordinator.Storage
	// Afresh says that the target was removed before: nothing but what Git knows may be copied, as
	// files that the source has too may be the reason.
	Afresh bool
}

// Dependencies are what a [Worker] works with. None may be nil.
type Dependencies struct {
	Cluster coordinator.Cluster
	Store   Store
	Turns   Turns
	Copier  Copier
	Health  coordinator.Health
	// Due may receive a value when a replica of this process has become due.
	Due        <-chan struct{}
	Registerer prometheus.Registerer
	// Journal may be nil.
	Journal coordinator.Journal
}

// Worker repairs what is due, so many replicas at once as its bounds allow.
type Worker struct {
	Dependencies
	config  Config
	metrics *metrics
	log     *zap.Logger
	random  coordinator.Random

	mu sync.Mutex // guards the field below
	// busy counts the copies to and from each storage.
	busy map[end]int
	// freed receives a value when a copy has ended, or more may be due; one is enough.
	freed chan struct{}
}

// end is one side of a copy.
type end struct {
	virtualStorage coordinator.VirtualStorage
	storage        coordinator.Storage
	source         bool
}

// New returns a worker. Errors match [ErrInvalidConfig] or come from the registerer.
func New(dependencies Dependencies, log *zap.Logger, config Config) (*Worker, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	dependencies.Journal = coordinator.JournalOr(dependencies.Journal)
	metrics, err := newMetrics(dependencies.Registerer, config)
	if err != nil {
		return nil, err
	}
	return &Worker{
		Dependencies: dependencies, config: config, metrics: metrics, log: log,
		random: coordinator.NewRandom(config.Random),
		busy:   map[end]int{}, freed: make(chan struct{}, 1),
	}, nil
}

// Run repairs until the context ends, then gives up what is under way, gives the claims back, and
// returns nil.
func (w *Worker) Run(ctx context.Context) error {
	w.log.Info("automatic reconciler started", zap.Any("storages", w.storages()))
	var repairs sync.WaitGroup
	defer repairs.Wait()
	poll := time.NewTicker(w.config.Poll)
	defer poll.Stop()
	for {
		w.begin(ctx, &repairs)
		select {
		case <-w.Due:
		case <-w.freed:
		case <-poll.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// storages lists those of the cluster.
func (w *Worker) storages() map[coordinator.VirtualStorage][]coordinator.Storage {
	all := map[coordinator.VirtualStorage][]coordinator.Storage{}
	for name, config := range w.Cluster.VirtualStorages {
		all[name] = config.Storages
	}
	return all
}

// begin claims as much as there is room for and starts its repair.
func (w *Worker) begin(ctx context.Context, repairs *sync.WaitGroup) {
	targets := w.targets()
	if len(targets) == 0 {
		return
	}
	// The claims' time is counted from before they are made, so that it never seems longer here
	// than it is in the store.
	begun := time.Now()
	claims, err := w.Store.ClaimRepairs(ctx, coordinator.RepairRequest{
		Claim:   coordinator.ClaimID(w.random.ID()),
		Targets: targets, TTL: w.config.Claim,
	})
	w.metrics.claims.Observe(time.Since(begun).Seconds())
	if err != nil {
		if ctx.Err() == nil {
			w.log.Warn("due repairs are not claimed", zap.Error(err))
		}
		return
	}
	for _, claim := range claims {
		target := end{claim.Key.VirtualStorage, claim.Storage, false}
		w.occupy(target)
		repairs.Go(func() {
			defer w.vacate(target)
			w.run(ctx, claim, begun)
		})
	}
	if len(claims) >= w.config.Batch {
		w.again() // There may be more than a batch, and room for it.
	}
}

// again has the worker look for more.
func (w *Worker) again() {
	select {
	case w.freed <- struct{}{}:
	default:
	}
}

// targets lists the healthy storages with room for more copies.
func (w *Worker) targets() []coordinator.RepairTarget {
	w.mu.Lock()
	defer w.mu.Unlock()
	var targets []coordinator.RepairTarget
	for name, config := range w.Cluster.VirtualStorages {
		for _, storage := range config.Storages {
			free := w.config.PerTarget - w.busy[end{name, storage, false}]
			if free > 0 && w.Health.Healthy(name, storage) {
				targets = append(targets, coordinator.RepairTarget{
					VirtualStorage: name, Storage: storage, Limit: min(free, w.config.Batch),
				})
			}
		}
	}
	return targets
}

func (w *Worker) occupy(side end) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy[side]++
}

func (w *Worker) vacate(side end) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy[side]--; w.busy[side] == 0 {
		delete(w.busy, side)
	}
	w.again()
}

// choose occupies a random current and healthy replica with room for one more copy.
func (w *Worker) choose(
	repository coordinator.Repository, target coordinator.Storage,
) (end, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var sources []end
	for _, replica := range repository.Replicas {
		source := end{repository.Key.VirtualStorage, replica.Storage, true}
		if replica.Storage != target && replica.Generation == repository.Generation &&
			w.busy[source] < w.config.PerSource &&
			w.Health.Healthy(source.virtualStorage, source.storage) {
			sources = append(sources, source)
		}
	}
	if len(sources) == 0 {
		return end{}, errNoSource
	}
	source := sources[w.random.IntN(len(sources))]
	w.busy[source]++
	return source, nil
}
