package cleaner

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"praefect/coordinator"
)

// Defaults of [Config].
const (
	defaultCheck = 30 * time.Minute
	defaultRun   = 24 * time.Hour
	defaultBatch = 16
	defaultAge   = 6 * time.Hour
	// endTimeout bounds the end of a search when the process ends.
	endTimeout = 2 * time.Second
)

// Store is what the search needs of the metadata.
type Store interface {
	// BeginWalk leaves the storage to the caller that was searched longest ago, if that is longer
	// than the interval and nobody is at it; for ttl at most.
	BeginWalk(
		ctx context.Context, places []coordinator.Place, interval, ttl time.Duration,
	) (coordinator.Place, bool, error)
	// EndWalk says that a search is over; one that is not done is due again at once.
	EndWalk(ctx context.Context, place coordinator.Place, done bool) error
	// Untracked returns those of the paths on the disk of a storage that are no replica there.
	Untracked(
		ctx context.Context, place coordinator.Place, replicaPaths []string,
	) ([]string, error)
}

// Disks lists what is on the disk of a storage.
type Disks interface {
	// Walk calls visit for each repository and stops at the first error.
	Walk(ctx context.Context, place coordinator.Place, visit func(Found) error) error
}

// Found is a repository on a disk.
type Found struct {
	ReplicaPath string
	ChangedAt   time.Time
}

// Config tunes a [Worker]. The zero value of a field means its default.
type Config struct {
	// Check is how often it is looked for a storage that is due. Default 30 min.
	Check time.Duration
	// Run is how often each storage is due. Default 24 h. It also bounds a search.
	Run time.Duration
	// Batch is how many repositories are asked for at once. Default 16.
	Batch int
	// Age is for how long a repository was not changed that is told of. Default 6 h.
	Age time.Duration
}

func (c Config) withDefaults() Config {
	c.Check = cmp.Or(c.Check, defaultCheck)
	c.Run = cmp.Or(c.Run, defaultRun)
	c.Batch = cmp.Or(c.Batch, defaultBatch)
	c.Age = cmp.Or(c.Age, defaultAge)
	return c
}

// Dependencies are what a [Worker] works with. None may be nil.
type Dependencies struct {
	Cluster    coordinator.Cluster
	Store      Store
	Disks      Disks
	Health     coordinator.Health
	Registerer prometheus.Registerer
}

// Worker searches.
type Worker struct {
	Dependencies
	config  Config
	log     *zap.Logger
	unknown *prometheus.GaugeVec
}

// New returns a worker. The error comes from the registerer.
func New(dependencies Dependencies, log *zap.Logger, config Config) (*Worker, error) {
	w := &Worker{
		Dependencies: dependencies, config: config.withDefaults(),
		log: log.With(zap.String("component", "repocleaner.repository_existence")),
		unknown: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gitaly_praefect_untracked_repositories",
			Help: "Repositories on the disk of a storage that the metadata do not know, in the " +
				"last search that this proxy has made",
		}, []string{"virtual_storage", "gitaly_storage"}),
	}
	if err := dependencies.Registerer.Register(w.unknown); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return w, nil
}

// Run searches until the context ends, and returns nil then.
func (w *Worker) Run(ctx context.Context) error {
	w.log.Info("started")
	tick := time.NewTicker(w.config.Check)
	defer tick.Stop()
	for {
		for w.searchNext(ctx) {
			// There may be another storage that is due.
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.log.Info("completed")
			return nil
		}
	}
}

// searchNext searches a storage that is due. It says whether one was searched to its end.
func (w *Worker) searchNext(ctx context.Context) bool {
	place, due, err := w.Store.BeginWalk(
		ctx, w.Cluster.Places(w.Health.Healthy), w.config.Run, w.config.Run)
	if err != nil {
		if ctx.Err() == nil {
			w.log.Warn("no storage is searched for repositories that are not managed",
				zap.Error(err))
		}
		return false
	}
	if !due {
		return false
	}
	bounded, cancel := context.WithTimeout(ctx, w.config.Run)
	defer cancel()
	err = w.search(bounded, place)
	if err != nil && ctx.Err() == nil {
		w.log.Error("storage is not searched to its end",
			zap.String("virtual_storage", string(place.VirtualStorage)),
			zap.String("storage", string(place.Storage)), zap.Error(err))
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if failure := w.Store.EndWalk(ending, place, err == nil); failure != nil {
		w.log.Warn("end of a search is not noted", zap.Error(failure))
		return false
	}
	return err == nil
}

// search looks through one disk.
func (w *Worker) search(ctx context.Context, place coordinator.Place) error {
	var (
		batch   []string
		unknown int
		before  = time.Now().Add(-w.config.Age)
	)
	report := func() error {
		if len(batch) == 0 {
			return nil
		}
		found, err := w.Store.Untracked(ctx, place, batch)
		for _, path := range found {
			w.log.Warn("repository is not managed by praefect",
				zap.String("virtual_storage", string(place.VirtualStorage)),
				zap.String("storage", string(place.Storage)),
				zap.String("relative_replica_path", path))
		}
		unknown += len(found)
		batch = batch[:0]
		return err
	}
	err := w.Disks.Walk(ctx, place, func(found Found) error {
		if found.ChangedAt.After(before) {
			return nil
		}
		if batch = append(batch, found.ReplicaPath); len(batch) < w.config.Batch {
			return nil
		}
		return report()
	})
	if err == nil {
		err = report()
	}
	if err != nil {
		return fmt.Errorf("search %q of %q: %w", place.Storage, place.VirtualStorage, err)
	}
	w.unknown.WithLabelValues(string(place.VirtualStorage), string(place.Storage)).
		Set(float64(unknown))
	return nil
}
