package placement

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"praefect/coordinator"
)

// Defaults of [Config].
const (
	defaultPoll = 10 * time.Second
	// defaultSweep is how often all repositories are looked at for storages that are missing.
	defaultSweep = 5 * time.Minute
	defaultBatch = 20
	// defaultWindow bounds the repositories that one statement looks at.
	defaultWindow = 1000
	// defaultGrace is far above what leases and their margins take.
	defaultGrace = 30 * time.Second
	defaultHold  = 5 * time.Second
	defaultCall  = 10 * time.Second
	// defaultKeep is a node's own deadline for a vote, 5 min, and a margin.
	defaultKeep = 5*time.Minute + 30*time.Second
)

// Store is what placement needs of the metadata.
type Store interface {
	// Unenrolled looks through so many repositories after the given one, in the order of their
	// ids, and returns those that are meant to be everywhere and are not, and the last one looked
	// at; 0 at the end.
	Unenrolled(
		ctx context.Context, after coordinator.RepositoryID, limit int,
		places []coordinator.Place,
	) ([]coordinator.RepositoryID, coordinator.RepositoryID, error)
	// Enrol assigns a repository that is meant to be everywhere to one more of the places of its
	// virtual storage, unless too few of its copies are current to be written then. It says
	// whether that has changed anything, and invalidates then.
	Enrol(
		ctx context.Context, id coordinator.RepositoryID, places []coordinator.Place,
	) (bool, error)
	// Surplus lists replicas that may be retired, of repositories after the given one.
	Surplus(
		ctx context.Context, after coordinator.RepositoryID, limit int,
		places []coordinator.Place,
	) ([]coordinator.Surplus, error)
	// Retire takes a replica out of service; see the package. [coordinator.ErrSuperseded] if it
	// must not be, or the turn is not held.
	Retire(ctx context.Context, retirement coordinator.Retirement) error
	// ClaimRetired leaves replicas to the caller that are not assigned and count for nothing.
	ClaimRetired(
		ctx context.Context, request coordinator.RetiredRequest,
	) ([]coordinator.Surplus, error)
	// EndRetirement says that a claimed replica is not on its disk any more.
	EndRetirement(
		ctx context.Context, claim coordinator.ClaimID, removed coordinator.Surplus,
	) error
}

// Turns gives the turn of a repository. The coordinator implements it.
type Turns interface {
	Hold(
		ctx context.Context, request coordinator.HoldRequest,
	) (*coordinator.Hold, error)
}

// Remover removes one replica from its disk; that there is none is success.
type Remover interface {
	Remove(ctx context.Context, replica coordinator.Surplus) error
}

// Config tunes a [Worker]. The zero value of a field means its default.
type Config struct {
	// Poll is how often replicas to remove are looked for. Default 10 s.
	Poll time.Duration
	// Sweep is how often storages are looked for that repositories lack. Default 5 min.
	Sweep time.Duration
	// Batch bounds the replicas of one round. Default 20.
	Batch int
	// Window bounds the repositories that one statement of a sweep looks at. Default 1000.
	Window int
	// Grace is how long a retired replica stays on its disk. Default 30 s.
	Grace time.Duration
	// Hold bounds the wait for a turn. Default 5 s.
	Hold time.Duration
	// Call bounds the removal of one replica. Default 10 s.
	Call time.Duration
	// Keep is how long a node may go on with what it was told by a call whose end nobody has seen.
	// Default 5.5 min.
	Keep time.Duration
}

func (c Config) withDefaults() Config {
	c.Poll = cmp.Or(c.Poll, defaultPoll)
	c.Sweep = cmp.Or(c.Sweep, defaultSweep)
	c.Batch = cmp.Or(c.Batch, defaultBatch)
	c.Window = cmp.Or(c.Window, defaultWindow)
	c.Grace = cmp.Or(c.Grace, defaultGrace)
	c.Hold = cmp.Or(c.Hold, defaultHold)
	c.Call = cmp.Or(c.Call, defaultCall)
	c.Keep = cmp.Or(c.Keep, defaultKeep)
	return c
}

// Dependencies are what a [Worker] works with. None may be nil but for the journal.
type Dependencies struct {
	Cluster    coordinator.Cluster
	Store      Store
	Turns      Turns
	Remover    Remover
	Health     coordinator.Health
	Registerer prometheus.Registerer
	Journal    coordinator.Journal
}

// Worker enrols and retires.
type Worker struct {
	Dependencies
	config Config
	log    *zap.Logger
	random coordinator.Random
	places []coordinator.Place
	counts *prometheus.CounterVec
	// after is where the search for surplus replicas goes on. It belongs to Run.
	after coordinator.RepositoryID
}

// New returns a worker. The error comes from the registerer.
func New(dependencies Dependencies, log *zap.Logger, config Config) (*Worker, error) {
	dependencies.Journal = coordinator.JournalOr(dependencies.Journal)
	w := &Worker{
		Dependencies: dependencies, config: config.withDefaults(), log: log,
		places: dependencies.Cluster.Places(nil), random: coordinator.NewRandom(nil),
		counts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_praefect_placements_total",
			Help: "Repositories enrolled on new storages, and replicas removed that were not " +
				"assigned",
		}, []string{"action"}),
	}
	if err := dependencies.Registerer.Register(w.counts); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return w, nil
}

// Run works until the context ends, and returns nil then.
func (w *Worker) Run(ctx context.Context) error {
	poll := time.NewTicker(w.config.Poll)
	defer poll.Stop()
	sweep := time.NewTicker(w.config.Sweep)
	defer sweep.Stop()
	more := w.enrol(ctx)
	for {
		select {
		case <-poll.C:
			w.retire(ctx)
			w.remove(ctx)
			if more {
				more = w.enrol(ctx)
			}
		case <-sweep.C:
			more = w.enrol(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// enrol looks at all repositories once. It says whether any was enrolled, as then it may lack
// another storage.
func (w *Worker) enrol(ctx context.Context) bool {
	enrolled := 0
	for after := coordinator.RepositoryID(0); ctx.Err() == nil; {
		found, last, err := w.Store.Unenrolled(ctx, after, w.config.Window, w.places)
		if err != nil {
			w.complain(ctx, "storages that repositories lack are not looked for", err)
			return enrolled > 0
		}
		for _, id := range found {
			changed, err := w.Store.Enrol(ctx, id, w.places)
			if err != nil {
				w.complain(ctx, "repository is not assigned to new storages", err)
				return enrolled > 0
			}
			if changed {
				enrolled++
				w.counts.WithLabelValues("enrolled").Inc()
			}
		}
		if last == 0 {
			break
		}
		after = last
	}
	if enrolled > 0 {
		w.log.Info("repositories are assigned to storages that are new", zap.Int("count", enrolled))
	}
	return enrolled > 0
}

func (w *Worker) complain(ctx context.Context, message string, err error) {
	if ctx.Err() == nil {
		w.log.Warn(message, zap.Error(err))
	}
}

// healthy are the places of virtual storages of which every storage answers.
func (w *Worker) healthy() []coordinator.Place {
	return w.Cluster.Places(func(name coordinator.VirtualStorage, _ coordinator.Storage) bool {
		return w.allHealthy(name)
	})
}

func (w *Worker) allHealthy(name coordinator.VirtualStorage) bool {
	for _, storage := range w.Cluster.VirtualStorages[name].Storages {
		if !w.Health.Healthy(name, storage) {
			return false
		}
	}
	return true
}

// retire takes replicas out of service that nobody needs.
func (w *Worker) retire(ctx context.Context) {
	found, err := w.Store.Surplus(ctx, w.after, w.config.Batch, w.healthy())
	if err != nil {
		w.complain(ctx, "replicas that are not assigned are not looked for", err)
		return
	}
	w.after = 0
	if len(found) == w.config.Batch {
		// The next round goes on behind, so that what cannot be retired holds up nobody.
		w.after = found[len(found)-1].Repository
	}
	for _, surplus := range found {
		err := w.retireOne(ctx, surplus)
		if err != nil && !passing(err) {
			w.complain(ctx, "replica that is not assigned is kept for now", err)
		}
	}
}

// passing says that a repository was busy, or has changed since it was looked at.
func passing(err error) bool {
	return errors.Is(err, coordinator.ErrBusy) || errors.Is(err, coordinator.ErrSuperseded) ||
		errors.Is(err, coordinator.ErrRepositoryNotFound)
}

func (w *Worker) retireOne(ctx context.Context, surplus coordinator.Surplus) error {
	waiting, cancel := context.WithTimeout(ctx, w.config.Hold)
	defer cancel()
	hold, err := w.Turns.Hold(waiting, coordinator.HoldRequest{
		Key: surplus.Key, Repository: surplus.Repository, Kind: coordinator.KindHold,
	})
	if err != nil {
		return err
	}
	defer hold.Release()
	return w.Store.Retire(waiting, coordinator.Retirement{
		Repository: surplus.Repository, Write: hold.Write(), Storage: surplus.Storage,
		Configured: w.Cluster.VirtualStorages[surplus.Key.VirtualStorage].Storages,
		Claim:      w.claim(), Grace: w.config.Grace, Keep: w.config.Keep,
	})
}

func (w *Worker) claim() coordinator.ClaimID { return coordinator.ClaimID(w.random.ID()) }

// remove removes replicas from disks that count for nothing.
func (w *Worker) remove(ctx context.Context) {
	id := w.claim()
	retired, err := w.Store.ClaimRetired(ctx, coordinator.RetiredRequest{
		Claim: id, Places: w.healthy(), TTL: w.config.Call + w.config.Keep,
		Keep: w.config.Keep, Limit: w.config.Batch,
	})
	if err != nil {
		w.complain(ctx, "replicas that are not assigned are not removed", err)
		return
	}
	var group errgroup.Group
	group.SetLimit(w.config.Batch)
	for _, surplus := range retired {
		group.Go(func() error {
			w.removeOne(ctx, id, surplus)
			return nil
		})
	}
	// Failures are logged where they happen; the claim's end brings them back.
	_ = group.Wait()
}

func (w *Worker) removeOne(
	ctx context.Context, id coordinator.ClaimID, surplus coordinator.Surplus,
) {
	bounded, cancel := context.WithTimeout(ctx, w.config.Call)
	defer cancel()
	log := w.log.With(zap.Inline(surplus.Key), zap.String("storage", string(surplus.Storage)),
		zap.Int64("repository_id", int64(surplus.Repository)))
	if err := w.Remover.Remove(bounded, surplus); err != nil {
		w.counts.WithLabelValues("failed").Inc()
		log.Warn("replica that is not assigned is not removed", zap.Error(err))
		return
	}
	if err := w.Store.EndRetirement(ctx, id, surplus); err != nil {
		log.Warn("removed replica is not forgotten", zap.Error(err))
		return
	}
	w.counts.WithLabelValues("removed").Inc()
	log.Info("replica that is not assigned is removed")
	w.Journal.Note(coordinator.Entry{
		At: time.Now(), Event: coordinator.EventSurplus, Repository: surplus.Repository,
		Key: surplus.Key, Notable: true,
		Details: coordinator.EntryDetails{Replicas: []coordinator.EntryReplica{{
			Storage: surplus.Storage, Became: coordinator.BecameRemoved,
			Reason: "the repository is not assigned to its storage, and all others were current",
		}}},
	})
}
