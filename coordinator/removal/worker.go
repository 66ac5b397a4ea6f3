package removal

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"praefect/coordinator"
)

// Defaults of [Config].
const (
	defaultPoll = time.Second
	// defaultBatch is also how many repositories are removed at once.
	defaultBatch = 10
	// defaultRetry is when a removal that is not complete is tried again, by whomever. It is longer
	// than a removal may take.
	defaultRetry = 15 * time.Second
	// defaultCall bounds the removal of one replica. Nodes go on deleting what takes longer.
	defaultCall = 10 * time.Second
	// defaultKeep is a node's own deadline for a vote, 5 min, and a margin.
	defaultKeep = 5*time.Minute + 30*time.Second
)

// Store is what removals need of the metadata.
type Store interface {
	ClaimRemovals(
		ctx context.Context, request coordinator.RemovalRequest,
	) ([]coordinator.Repository, error)
	Removed(
		ctx context.Context, id coordinator.RepositoryID, storages []coordinator.Storage,
	) error
}

// Remover removes one replica from its disk; that there is none is success.
type Remover interface {
	Remove(ctx context.Context, replica Replica) error
}

// Replica names what is to be removed.
type Replica struct {
	VirtualStorage coordinator.VirtualStorage
	Storage        coordinator.Storage
	ReplicaPath    string
}

// Config tunes a [Worker]. The zero value of a field means its default.
type Config struct {
	// Poll is how often removals are looked for without being told. Default 1 s.
	Poll time.Duration
	// Batch bounds the repositories that are removed at once. Default 10.
	Batch int
	// Retry is when a removal that could not be completed is tried again. Default 15 s.
	Retry time.Duration
	// Call bounds the removal of one replica. Default 10 s; it should be below Retry.
	Call time.Duration
	// Keep is how long a repository is remembered whose creation nobody ended: until then a node
	// may still create it. Default 5.5 min.
	Keep time.Duration
}

func (c Config) withDefaults() Config {
	c.Poll = cmp.Or(c.Poll, defaultPoll)
	c.Batch = cmp.Or(c.Batch, defaultBatch)
	c.Retry = cmp.Or(c.Retry, defaultRetry)
	c.Call = cmp.Or(c.Call, defaultCall)
	c.Keep = cmp.Or(c.Keep, defaultKeep)
	return c
}

// Dependencies are what a [Worker] works with. None may be nil.
type Dependencies struct {
	Store   Store
	Remover Remover
	Health  coordinator.Health
	// Due may receive a value when this process has deleted a repository.
	Due        <-chan struct{}
	Registerer prometheus.Registerer
}

// Worker removes what is deleted.
type Worker struct {
	Dependencies
	config  Config
	log     *zap.Logger
	removed *prometheus.CounterVec
}

// New returns a worker. Errors match [ErrInvalidConfig] or come from the registerer.
func New(dependencies Dependencies, log *zap.Logger, config Config) (*Worker, error) {
	if config.Poll < 0 || config.Batch < 0 || config.Retry < 0 ||
		config.Call < 0 || config.Keep < 0 {
		return nil, fmt.Errorf("%w: %+v", ErrInvalidConfig, config)
	}
	removed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gitaly_praefect_replica_removals_total",
		Help: "Replicas of deleted repositories that were to be removed, by result",
	}, []string{"virtual_storage", "gitaly_storage", "result"})
	if err := dependencies.Registerer.Register(removed); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return &Worker{
		Dependencies: dependencies, config: config.withDefaults(), log: log, removed: removed,
	}, nil
}

// Run removes until the context ends and returns nil then.
func (w *Worker) Run(ctx context.Context) error {
	poll := time.NewTicker(w.config.Poll)
	defer poll.Stop()
	for {
		for w.batch(ctx) == w.config.Batch && ctx.Err() == nil {
			// A full batch means that there may be more.
		}
		select {
		case <-w.Due:
		case <-poll.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// batch removes what is due and returns how many repositories that were.
func (w *Worker) batch(ctx context.Context) int {
	repositories, err := w.Store.ClaimRemovals(ctx, coordinator.RemovalRequest{
		Limit: w.config.Batch, TTL: w.config.Retry, Keep: w.config.Keep,
	})
	if err != nil {
		if ctx.Err() == nil {
			w.log.Warn("due removals are not claimed", zap.Error(err))
		}
		return 0
	}
	var group errgroup.Group
	for _, repository := range repositories {
		group.Go(func() error {
			w.remove(ctx, repository)
			return nil
		})
	}
	// Failures are logged where they happen; the claim's end brings them back.
	_ = group.Wait()
	return len(repositories)
}

// remove removes the replicas of one repository and forgets those that are gone.
func (w *Worker) remove(ctx context.Context, repository coordinator.Repository) {
	removed := make([]bool, len(repository.Replicas))
	var group errgroup.Group
	for i, replica := range repository.Replicas {
		if replica.Repairing ||
			!w.Health.Healthy(repository.Key.VirtualStorage, replica.Storage) {
			continue
		}
		group.Go(func() error {
			removed[i] = w.removeReplica(ctx, repository, replica.Storage)
			return nil
		})
	}
	// Failures are logged where they happen.
	_ = group.Wait()

	var gone []coordinator.Storage
	for i, replica := range repository.Replicas {
		if removed[i] {
			gone = append(gone, replica.Storage)
		}
	}
	if len(gone) == 0 && len(repository.Replicas) > 0 {
		return // Many may wait for a node that is away: nothing has changed, nothing is written.
	}
	if err := w.Store.Removed(ctx, repository.ID, gone); err != nil {
		w.log.Warn("removed replicas are not forgotten", zap.Inline(repository), zap.Error(err))
		return
	}
	if len(gone) == len(repository.Replicas) {
		w.log.Info("repository removed from all disks", zap.Inline(repository))
	}
}

func (w *Worker) removeReplica(
	ctx context.Context, repository coordinator.Repository, storage coordinator.Storage,
) bool {
	ctx, cancel := context.WithTimeout(ctx, w.config.Call)
	defer cancel()
	err := w.Remover.Remove(ctx, Replica{
		VirtualStorage: repository.Key.VirtualStorage, Storage: storage,
		ReplicaPath: repository.ReplicaPath,
	})
	result := "removed"
	if err != nil {
		result = "failed"
		w.log.Warn("replica is not removed", zap.Inline(repository),
			zap.String("storage", string(storage)), zap.Error(err))
	}
	w.removed.WithLabelValues(
		string(repository.Key.VirtualStorage), string(storage), result,
	).Inc()
	return err == nil
}
