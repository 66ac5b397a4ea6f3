package cleaner_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"praefect/coordinator"
	"praefect/coordinator/cleaner"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is two storages and what is on their disks, of which all but odd paths are known.
type world struct {
	mu sync.Mutex // guards the fields below
	// searched counts searches that were begun; begun is when, by storage.
	searched int
	begun    map[coordinator.Storage]time.Time
	done     []bool
	batches  []int
	// broken makes walks fail in the middle.
	broken bool
}

func (w *world) BeginWalk(
	_ context.Context, places []coordinator.Place, interval, _ time.Duration,
) (coordinator.Place, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, place := range places {
		if at, known := w.begun[place.Storage]; !known || time.Since(at) >= interval {
			w.begun[place.Storage] = time.Now()
			w.searched++
			return place, true, nil
		}
	}
	return coordinator.Place{}, false, nil
}

func (w *world) searches() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.searched
}

func (w *world) EndWalk(_ context.Context, place coordinator.Place, done bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = append(w.done, done)
	if !done {
		delete(w.begun, place.Storage)
	}
	return nil
}

func (w *world) Untracked(
	_ context.Context, _ coordinator.Place, paths []string,
) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.batches = append(w.batches, len(paths))
	var unknown []string
	for _, path := range paths {
		if path != "known.git" {
			unknown = append(unknown, path)
		}
	}
	return unknown, nil
}

func (w *world) Walk(
	_ context.Context, place coordinator.Place, visit func(cleaner.Found) error,
) error {
	old := time.Now().Add(-24 * time.Hour)
	for _, found := range []cleaner.Found{
		{ReplicaPath: "known.git", ChangedAt: old},
		{ReplicaPath: "odd-" + string(place.Storage) + ".git", ChangedAt: old},
		{ReplicaPath: "being-created.git", ChangedAt: time.Now()},
		{ReplicaPath: "known.git", ChangedAt: old},
	} {
		if err := visit(found); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken {
		return errors.New("connection reset")
	}
	return nil
}

// Healthy implements [coordinator.Health]: c is not.
func (w *world) Healthy(_ coordinator.VirtualStorage, storage coordinator.Storage) bool {
	return storage != "c"
}

func start(t *testing.T, w *world) (*observer.ObservedLogs, func()) {
	t.Helper()
	w.begun = map[coordinator.Storage]time.Time{}
	core, logs := observer.New(zapcore.WarnLevel)
	worker, err := cleaner.New(cleaner.Dependencies{
		Cluster: coordinator.Cluster{
			VirtualStorages: map[coordinator.VirtualStorage]coordinator.VirtualStorageConfig{
				"default": {Storages: []coordinator.Storage{"a", "b", "c"}},
			},
		},
		Store: w, Disks: w, Health: w, Registerer: prometheus.NewRegistry(),
	}, zap.New(core), cleaner.Config{Batch: 2})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx) }()
	return logs, func() {
		cancel()
		require.NoError(t, <-ended)
	}
}

// TestSearch: what nobody knows is told of, and nothing else is done. Each healthy storage is
// searched once an interval.
func TestSearch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		logs, end := start(t, w)
		defer end()
		synctest.Wait()
		require.Equal(t, 2, w.searches())
		require.Equal(t, []int{2, 1, 2, 1}, w.batches)
		lines := logs.FilterMessage("repository is not managed by praefect").All()
		require.Len(t, lines, 2)
		require.Equal(t, zapcore.WarnLevel, lines[0].Level)
		require.Equal(t, map[string]any{
			"component":       "repocleaner.repository_existence",
			"virtual_storage": "default", "storage": "a", "relative_replica_path": "odd-a.git",
		}, lines[0].ContextMap())
		<-time.After(23 * time.Hour)
		synctest.Wait()
		require.Equal(t, 2, w.searches())
		<-time.After(2 * time.Hour)
		synctest.Wait()
		require.Equal(t, 4, w.searches())
	})
}

// TestBrokenSearch is told of, and tried again at the next check.
func TestBrokenSearch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{broken: true}
		logs, end := start(t, w)
		defer end()
		synctest.Wait()
		require.Equal(t, []bool{false}, w.done)
		require.Equal(t, 1, logs.FilterMessage("storage is not searched to its end").Len())
		w.mu.Lock()
		w.broken = false
		w.mu.Unlock()
		<-time.After(31 * time.Minute)
		synctest.Wait()
		require.Equal(t, []bool{false, true, true}, w.done)
	})
}
