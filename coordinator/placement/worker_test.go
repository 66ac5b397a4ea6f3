package placement_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"praefect/coordinator"
	"praefect/coordinator/memory"
	"praefect/coordinator/metadatatest"
	"praefect/coordinator/placement"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	// interval is that of sweeps, which are no multiple of polls.
	interval = 305 * time.Second
	// poll and sweep are the worker's, and a moment more.
	poll  = 10*time.Second + time.Millisecond
	sweep = interval + time.Millisecond
)

var errAway = errors.New("away")

// world plays the store, the nodes and the journal of a worker, and notes what the worker does.
type world struct {
	turns    *coordinator.Coordinator
	metadata *memory.Store
	registry *prometheus.Registry
	logs     *observer.ObservedLogs

	mu   sync.Mutex // guards the fields below
	done []string
	// lacks is how many storages repositories lack; at most two are in one window.
	lacks map[coordinator.RepositoryID]int
	// surplus replicas may be retired, retired ones removed.
	surplus, retired []coordinator.Surplus
	// searched is behind which repository surplus replicas were looked for last.
	searched coordinator.RepositoryID
	// fails are the calls that do not work, sick the storages that do not answer.
	fails map[string]error
	sick  map[coordinator.Storage]bool
	noted []coordinator.Entry
}

// note writes down what is done, and says whether that works.
func (w *world) note(call string, args ...any) error {
	w.done = append(w.done, fmt.Sprint(append([]any{call + " "}, args...)...))
	return w.fails[call]
}

func (w *world) Unenrolled(
	_ context.Context, after coordinator.RepositoryID, limit int, places []coordinator.Place,
) ([]coordinator.RepositoryID, coordinator.RepositoryID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.note("search", after); err != nil {
		return nil, 0, err
	}
	if limit != 2 || len(places) != 3 {
		return nil, 0, fmt.Errorf("limit %d, places %v", limit, places)
	}
	var found []coordinator.RepositoryID
	for id := after + 1; id <= after+2; id++ {
		if w.lacks[id] > 0 {
			found = append(found, id)
		}
	}
	if after >= 2 {
		return found, 0, nil
	}
	return found, after + 2, nil
}

func (w *world) Enrol(
	_ context.Context, id coordinator.RepositoryID, _ []coordinator.Place,
) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.note("enrol", id); err != nil {
		return false, err
	}
	w.lacks[id]--
	return true, nil
}

func (w *world) Surplus(
	_ context.Context, after coordinator.RepositoryID, limit int, places []coordinator.Place,
) ([]coordinator.Surplus, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.searched = after
	if w.fails["surplus"] != nil {
		return nil, w.fails["surplus"]
	}
	var found []coordinator.Surplus
	for _, replica := range w.surplus {
		for _, place := range places {
			if replica.Repository > after && len(found) < limit &&
				place.Storage == replica.Storage {
				found = append(found, replica)
			}
		}
	}
	return found, nil
}

func (w *world) Retire(ctx context.Context, retirement coordinator.Retirement) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	held, err := w.metadata.Load(ctx, retirement.Repository)
	if err != nil || !held.TurnHeld {
		return fmt.Errorf("not under the turn: %w", err)
	}
	return w.note("retire", retirement.Repository, " ", retirement.Storage, " ",
		len(retirement.Configured), " ", retirement.Grace)
}

func (w *world) ClaimRetired(
	_ context.Context, request coordinator.RetiredRequest,
) ([]coordinator.Surplus, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(request.Places) == 0 || w.fails["claim"] != nil {
		return nil, w.fails["claim"]
	}
	claimed := w.retired
	w.retired = nil
	return claimed, nil
}

func (w *world) EndRetirement(
	_ context.Context, _ coordinator.ClaimID, removed coordinator.Surplus,
) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.note("forget", removed.Storage)
}

func (w *world) Remove(_ context.Context, replica coordinator.Surplus) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.note("remove", replica.Storage)
}

func (w *world) Healthy(_ coordinator.VirtualStorage, storage coordinator.Storage) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.sick[storage]
}

func (w *world) Note(entry coordinator.Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noted = append(w.noted, entry)
}

// change sets up what happens from now on, and forgets what was done before.
func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	w.done = nil
}

// pass lets the worker work for a time and returns what it did.
func (w *world) pass(period time.Duration) []string {
	<-time.After(period)
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	done := w.done
	w.done = nil
	return done
}

func key(id coordinator.RepositoryID) coordinator.Key {
	return coordinator.Key{VirtualStorage: "default", RelativePath: fmt.Sprint(id)}
}

func replica(id coordinator.RepositoryID, storage coordinator.Storage) coordinator.Surplus {
	return coordinator.Surplus{Repository: id, Key: key(id), Storage: storage}
}

// within runs a worker beside a test, in a bubble with three storages and four repositories.
func within(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		w := &world{
			metadata: memory.New(), registry: prometheus.NewRegistry(), logs: logs,
			lacks: map[coordinator.RepositoryID]int{}, fails: map[string]error{},
			sick: map[coordinator.Storage]bool{},
		}
		cluster := coordinator.Cluster{
			VirtualStorages: map[coordinator.VirtualStorage]coordinator.VirtualStorageConfig{
				"default": {Storages: []coordinator.Storage{"a", "b", "c"}},
			},
		}
		alone := metadatatest.NewAlone(t, w.metadata)
		var err error
		w.turns, err = coordinator.New(coordinator.Dependencies{
			Cluster: cluster, Store: w.metadata, Health: w, Agreed: w, Lease: alone, Peers: alone,
			Registerer: prometheus.NewRegistry(),
		}, zap.NewNop(), coordinator.Config{})
		require.NoError(t, err)
		for id := coordinator.RepositoryID(1); id <= 4; id++ {
			require.NoError(t, w.metadata.Track(t.Context(), coordinator.Tracking{
				ID: id, Key: key(id), ReplicaPath: fmt.Sprint(id), Primary: "a",
				Present:  []coordinator.Storage{"a", "b", "c"},
				Assigned: []coordinator.Storage{"a", "b"},
			}))
		}
		worker, err := placement.New(placement.Dependencies{
			Cluster: cluster, Store: w, Turns: w.turns, Remover: w, Health: w,
			Registerer: w.registry, Journal: w,
		}, zap.New(core), placement.Config{Window: 2, Batch: 2, Sweep: interval})
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- worker.Run(ctx) }()
		synctest.Wait()
		test(t, w)
		stop()
		require.NoError(t, <-ended)
	})
}

// count is how often the worker says to have done something.
func (w *world) count(t *testing.T, action string) float64 {
	t.Helper()
	families, err := w.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if metric.GetLabel()[0].GetValue() == action {
				return metric.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// TestEnrols looks through all repositories at the start, goes on with each poll as long as
// something was lacking, and then waits for the next sweep.
func TestEnrols(t *testing.T) {
	t.Parallel()
	within(t, func(t *testing.T, w *world) {
		t.Helper()
		require.Equal(t, []string{"search 0", "search 2"}, w.pass(0))
		w.change(func() { w.lacks[1], w.lacks[4] = 1, 2 })
		require.Empty(t, w.pass(poll), "not before the sweep")
		require.Equal(t, []string{"search 0", "enrol 1", "search 2", "enrol 4"},
			w.pass(sweep-poll))
		require.Equal(t, []string{"search 0", "search 2", "enrol 4", "search 0", "search 2"},
			w.pass(2*poll))
		require.Empty(t, w.pass(2*poll))
		require.InDelta(t, 3, w.count(t, "enrolled"), 0)
		require.Equal(t, 2, w.logs.FilterMessage(
			"repositories are assigned to storages that are new").Len())
	})
}

// TestEnrolFails stops a sweep at the first failure, and complains. The next one begins anew.
func TestEnrolFails(t *testing.T) {
	t.Parallel()
	within(t, func(t *testing.T, w *world) {
		t.Helper()
		w.change(func() { w.lacks[1], w.fails["enrol"] = 1, errAway })
		require.Equal(t, []string{"search 0", "enrol 1"}, w.pass(sweep))
		w.change(func() { w.fails = map[string]error{"search": errAway} })
		require.Equal(t, []string{"search 0"}, w.pass(sweep))
		require.Equal(t, 2, w.logs.FilterLevelExact(zap.WarnLevel).Len())
		w.change(func() { w.fails = nil })
		require.Equal(t, []string{"search 0", "enrol 1", "search 2"}, w.pass(sweep))
	})
}

// TestRetires takes replicas out of service under the turn of their repository, a batch in each
// round. What is busy or has changed is left to a later round without a word.
func TestRetires(t *testing.T) {
	t.Parallel()
	within(t, func(t *testing.T, w *world) {
		t.Helper()
		w.change(func() {
			w.surplus = []coordinator.Surplus{
				replica(1, "c"), replica(2, "c"), replica(4, "b"),
			}
		})
		require.Equal(t, []string{"retire 1 c 3 30s", "retire 2 c 3 30s"}, w.pass(poll))
		require.Equal(t, []string{"retire 4 b 3 30s"}, w.pass(poll))
		require.Equal(t, coordinator.RepositoryID(2), w.searched)

		hold, err := w.turns.Hold(t.Context(), coordinator.HoldRequest{
			Key: key(1), Repository: 1, Kind: coordinator.KindHold,
		})
		require.NoError(t, err)
		w.change(func() { w.fails["retire"] = coordinator.ErrSuperseded })
		require.Equal(t, []string{"retire 2 c 3 30s"}, w.pass(poll+5*time.Second),
			"the first is somebody else's")
		hold.Release()
		require.Zero(t, w.logs.FilterLevelExact(zap.WarnLevel).Len())
		for _, repository := range []coordinator.RepositoryID{1, 2, 4} {
			found, err := w.metadata.Load(t.Context(), repository)
			require.NoError(t, err)
			require.False(t, found.TurnHeld, "the turn is given back")
		}

		w.change(func() { w.fails["retire"] = errAway })
		w.pass(poll)
		require.NotZero(t, w.logs.FilterLevelExact(zap.WarnLevel).Len())
	})
}

// TestRemoves empties disks, tells of it, and forgets a replica only when its node has removed it.
func TestRemoves(t *testing.T) {
	t.Parallel()
	within(t, func(t *testing.T, w *world) {
		t.Helper()
		w.change(func() { w.retired = []coordinator.Surplus{replica(1, "c")} })
		require.Equal(t, []string{"remove c", "forget c"}, w.pass(poll))
		require.InDelta(t, 1, w.count(t, "removed"), 0)
		require.Len(t, w.noted, 1)
		require.Equal(t, coordinator.EventSurplus, w.noted[0].Event)
		require.Equal(t, coordinator.Storage("c"), w.noted[0].Details.Replicas[0].Storage)

		w.change(func() {
			w.retired = []coordinator.Surplus{replica(2, "c")}
			w.fails["remove"] = errAway
		})
		require.Equal(t, []string{"remove c"}, w.pass(poll))
		require.InDelta(t, 1, w.count(t, "failed"), 0)
		w.change(func() {
			w.retired = []coordinator.Surplus{replica(2, "c")}
			w.fails = map[string]error{"forget": errAway}
		})
		require.Equal(t, []string{"remove c", "forget c"}, w.pass(poll))
		require.InDelta(t, 1, w.count(t, "removed"), 0, "what is not forgotten comes again")
		require.Len(t, w.noted, 1)
	})
}

// TestSickStorages: while a node of the virtual storage is away, a copy too many is kept.
func TestSickStorages(t *testing.T) {
	t.Parallel()
	within(t, func(t *testing.T, w *world) {
		t.Helper()
		w.change(func() {
			w.sick["b"] = true
			w.surplus = []coordinator.Surplus{replica(1, "c")}
			w.retired = []coordinator.Surplus{replica(2, "c")}
		})
		require.Empty(t, w.pass(2*poll))
		w.change(func() { w.sick["b"] = false })
		require.Equal(t, []string{"retire 1 c 3 30s", "remove c", "forget c"}, w.pass(poll))
	})
}

// TestMetricIsTaken reports a registry that has the metric already.
func TestMetricIsTaken(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	dependencies := placement.Dependencies{Registerer: registry}
	_, err := placement.New(dependencies, zap.NewNop(), placement.Config{})
	require.NoError(t, err)
	_, err = placement.New(dependencies, zap.NewNop(), placement.Config{})
	require.ErrorContains(t, err, "register metrics")
}
