package verify

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"praefect/coordinator"
)

// releaseMax bounds the leases that one statement gives back.
const releaseMax = 25

// Replica names what a node is asked about.
type Replica struct {
	VirtualStorage coordinator.VirtualStorage
	Storage        coordinator.Storage
	ReplicaPath    string
}

// Prober asks nodes. Errors say nothing about the repository.
type Prober interface {
	Exists(ctx context.Context, replica Replica) (bool, error)
	Checksum(ctx context.Context, replica Replica) (string, error)
}

// Store is what verification needs of the metadata.
type Store interface {
	coordinator.Auditor
	Load(ctx context.Context, id coordinator.RepositoryID) (coordinator.Repository, error)
	ScheduleVerification(
		ctx context.Context, id coordinator.RepositoryID, delay time.Duration,
	) error
	Announced(ctx context.Context, id coordinator.RepositoryID) (bool, error)
}

// Turns keeps writers away from a repository. The coordinator implements it.
type Turns interface {
	Hold(ctx context.Context, request coordinator.HoldRequest) (*coordinator.Hold, error)
}

// Dependencies are what a [Worker] works with. None may be nil.
type Dependencies struct {
	Cluster    coordinator.Cluster
	Store      Store
	Prober     Prober
	Turns      Turns
	Health     coordinator.Health
	Registerer prometheus.Registerer
	// Journal may be nil.
	Journal coordinator.Journal
}

// Worker verifies replicas.
type Worker struct {
	Dependencies
	config  Config
	metrics *metrics
	log     *zap.Logger
}

// New returns a worker. Errors match [ErrInvalidConfig] or come from the registerer. A disabled
// worker has no metrics.
func New(dependencies Dependencies, log *zap.Logger, config Config) (*Worker, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	dependencies.Journal = coordinator.JournalOr(dependencies.Journal)
	w := &Worker{Dependencies: dependencies, config: config, log: log}
	if config.Interval <= 0 {
		return w, nil
	}
	var err error
	w.metrics, err = newMetrics(dependencies.Registerer, dependencies.Cluster)
	return w, err
}

// settings is how the log tells them.
type settings struct {
	VerificationInterval string `json:"verification_interval"`
	DeleteInvalidRecords bool   `json:"delete_invalid_records"`
}

// Run verifies until the context ends and returns nil then.
func (w *Worker) Run(ctx context.Context) error {
	if w.config.Interval <= 0 {
		w.log.Info("background verifier is disabled")
		<-ctx.Done()
		return nil
	}
	w.log.Info("background verifier started", zap.Any("config", settings{
		w.config.Interval.String(), !w.config.Keep,
	}))
	poll := time.NewTicker(w.config.Poll)
	defer poll.Stop()
	release := time.NewTicker(w.config.Release)
	defer release.Stop()
	for {
		select {
		case <-poll.C:
			w.batch(ctx)
		case <-release.C:
			w.release(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// release gives back the leases of proxies that are gone.
func (w *Worker) release(ctx context.Context) {
	released, err := w.Store.ReleaseAudits(ctx, releaseMax)
	if err != nil {
		if ctx.Err() == nil {
			w.log.Error("failed releasing stale leases", zap.Error(err))
		}
		return
	}
	if len(released) > 0 {
		w.metrics.released.Add(float64(len(released)))
		w.log.Info("released stale verification leases",
			zap.Any("leases_released", nested(released)))
	}
}

// nested lists the storages of each repository of each virtual storage.
func nested(
	audits []coordinator.Audit,
) map[coordinator.VirtualStorage]map[string][]coordinator.Storage {
	all := map[coordinator.VirtualStorage]map[string][]coordinator.Storage{}
	for _, audit := range audits {
		virtual := all[audit.Key.VirtualStorage]
		if virtual == nil {
			virtual = map[string][]coordinator.Storage{}
			all[audit.Key.VirtualStorage] = virtual
		}
		path := audit.Key.RelativePath
		virtual[path] = append(virtual[path], audit.Storage)
	}
	return all
}

// batch looks for some replicas, all at the same time.
func (w *Worker) batch(ctx context.Context) {
	claimed, err := w.Store.ClaimAudits(ctx, coordinator.AuditRequest{
		Places:   w.Cluster.Places(w.Health.Healthy),
		Interval: w.config.Interval, TTL: w.config.Lease, Limit: w.config.Batch,
	})
	if err != nil {
		if ctx.Err() == nil {
			w.log.Error("failed picking up replicas for verification", zap.Error(err))
		}
		return
	}
	found := make([]string, len(claimed))
	var looks sync.WaitGroup
	for i, audit := range claimed {
		w.metrics.dequeued.WithLabelValues(
			string(audit.Key.VirtualStorage), string(audit.Storage)).Inc()
		looks.Go(func() { found[i] = w.look(ctx, audit) })
	}
	looks.Wait()

	var missing []coordinator.Audit
	for i, audit := range claimed {
		w.metrics.complete(audit, found[i])
		if found[i] == resultInvalid {
			missing = append(missing, audit)
		}
	}
	w.warn(claimed, missing)
	w.lose(ctx, missing)
}

// look asks one node, and if the replica is there gives the claim back.
func (w *Worker) look(ctx context.Context, audit coordinator.Audit) string {
	exists, err := w.exists(ctx, audit)
	if err != nil {
		w.log.Error("failed to verify replica's existence", zap.Inline(audit.Key),
			zap.String("storage", string(audit.Storage)),
			zap.Int64("repository_id", int64(audit.Repository)),
			zap.String("replica_path", audit.ReplicaPath), zap.Error(err))
		w.end(ctx, audit, coordinator.AuditEnd{})
		return resultError
	}
	if !exists {
		return resultInvalid
	}
	if audit.Leads {
		w.compare(ctx, audit)
	}
	w.end(ctx, audit, coordinator.AuditEnd{Found: true})
	return resultValid
}

func (w *Worker) exists(ctx context.Context, audit coordinator.Audit) (bool, error) {
	bounded, cancel := context.WithTimeout(ctx, w.config.Call)
	defer cancel()
	return w.Prober.Exists(bounded, Replica{
		audit.Key.VirtualStorage, audit.Storage, audit.ReplicaPath,
	})
}

// end gives a claim back; the release of stale leases does if this fails.
func (w *Worker) end(ctx context.Context, audit coordinator.Audit, end coordinator.AuditEnd) {
	if err := w.Store.EndAudit(ctx, audit, end); err != nil && ctx.Err() == nil {
		w.log.Warn("verification lease is left until it ends", zap.Inline(audit.Key),
			zap.String("storage", string(audit.Storage)), zap.Error(err))
	}
}
