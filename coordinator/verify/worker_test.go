package verify_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"praefect/coordinator"
	"praefect/coordinator/memory"
	"praefect/coordinator/metadatatest"
	"praefect/coordinator/verify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 20 * time.Second
	tick     = 5 * time.Millisecond
	path     = "repository.git"
)

// world is a repository on two nodes whose disks the test decides about.
type world struct {
	store       *memory.Store
	coordinator *coordinator.Coordinator
	incarnation coordinator.Incarnation
	logs        *observer.ObservedLogs
	registry    *prometheus.Registry

	mu   sync.Mutex // guards the fields below
	gone map[coordinator.Storage]bool
	sums map[coordinator.Storage]string
	sick bool
	down map[coordinator.Storage]bool
}

func (w *world) Healthy(_ coordinator.VirtualStorage, storage coordinator.Storage) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.down[storage]
}

func (w *world) Exists(_ context.Context, replica verify.Replica) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sick {
		return false, errors.New("disk is away")
	}
	return !w.gone[replica.Storage], nil
}

func (w *world) Checksum(_ context.Context, replica verify.Replica) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sums[replica.Storage], nil
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		store: memory.New(), registry: prometheus.NewRegistry(),
		gone: map[coordinator.Storage]bool{}, sums: map[coordinator.Storage]string{},
		down: map[coordinator.Storage]bool{},
	}
	alone := metadatatest.NewAlone(t, w.store)
	var err error
	w.coordinator, err = coordinator.New(coordinator.Dependencies{
		Cluster: cluster(), Store: w.store, Health: w, Agreed: w, Lease: alone, Peers: alone,
		Registerer: prometheus.NewRegistry(),
	}, zap.NewNop(), coordinator.Config{})
	require.NoError(t, err)
	w.incarnation, _ = alone.Incarnation()
	both := []coordinator.Storage{"a", "b"}
	require.NoError(t, w.store.Create(t.Context(), coordinator.Creation{
		ID: 1, Key: coordinator.Key{VirtualStorage: "default", RelativePath: path},
		ReplicaPath: "on/disk", Primary: "a", Participants: both, Assigned: both,
		Incarnation: w.incarnation,
	}))
	require.NoError(t, w.store.Complete(t.Context(), 1))
	return w
}

func cluster() coordinator.Cluster {
	return coordinator.Cluster{
		VirtualStorages: map[coordinator.VirtualStorage]coordinator.VirtualStorageConfig{
			"default": {Storages: []coordinator.Storage{"a", "b"}},
		},
	}
}

// run starts the worker until the test ends.
func (w *world) run(t *testing.T, config verify.Config) {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	w.logs = logs
	config.Poll, config.Release = tick, tick
	worker, err := verify.New(verify.Dependencies{
		Cluster: cluster(), Store: w.store, Prober: w, Turns: w.coordinator, Health: w,
		Registerer: w.registry,
	}, zap.New(core), config)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
	})
}

func (w *world) replica(t assert.TestingT, storage coordinator.Storage) coordinator.Replica {
	repository, err := w.store.Load(context.Background(), 1)
	replica, _ := repository.Replica(storage)
	assert.NoError(t, err)
	return replica
}

// await waits until the worker has brought something about.
func (w *world) await(t *testing.T, what func(c *assert.CollectT)) {
	t.Helper()
	require.EventuallyWithT(t, what, patience, tick)
}

// TestT162FoundReplicasAreVerified finds replicas on their disks.
func TestT162FoundReplicasAreVerified(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run(t, verify.Config{Interval: time.Hour})
	w.await(t, func(c *assert.CollectT) {
		for _, storage := range []coordinator.Storage{"a", "b"} {
			assert.WithinDuration(c, time.Now(), w.replica(c, storage).VerifiedAt, time.Minute)
		}
	})
	started := w.logs.FilterMessage("background verifier started").All()
	require.Len(t, started, 1)
}

// TestT160OnlyHealthyStorages leaves the replicas of a sick node alone until it is well.
func TestT160OnlyHealthyStorages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.down["b"] = true
	w.run(t, verify.Config{Interval: 50 * time.Millisecond})
	var first time.Time
	w.await(t, func(c *assert.CollectT) {
		first = w.replica(c, "a").VerifiedAt
		assert.NotZero(c, first)
	})
	w.await(t, func(c *assert.CollectT) { // Somebody has picked batches again since.
		assert.True(c, w.replica(c, "a").VerifiedAt.After(first))
	})
	require.Zero(t, w.replica(t, "b").VerifiedAt)
	w.set(func() { w.down["b"] = false })
	w.await(t, func(c *assert.CollectT) { assert.NotZero(c, w.replica(c, "b").VerifiedAt) })
}

// TestT168StaleLeasesAreReleased has a proxy that died while it looked for replicas.
func TestT168StaleLeasesAreReleased(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	claimed, err := w.store.ClaimAudits(t.Context(), coordinator.AuditRequest{
		Places:   []coordinator.Place{{VirtualStorage: "default", Storage: "b"}},
		Interval: time.Hour, TTL: time.Millisecond, Limit: 1,
	})
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	w.run(t, verify.Config{Interval: time.Hour})
	w.await(t, func(c *assert.CollectT) {
		lines := w.logs.FilterMessage("released stale verification leases").All()
		require.Len(c, lines, 1)
		assert.Equal(c, map[coordinator.VirtualStorage]map[string][]coordinator.Storage{
			"default": {path: {"b"}},
		}, lines[0].ContextMap()["leases_released"])
	})
	w.await(t, func(c *assert.CollectT) { assert.NotZero(c, w.replica(c, "b").VerifiedAt) })
}

// completed reads how many looks at a storage had a result.
func (w *world) completed(t *testing.T, storage, result string) float64 {
	t.Helper()
	families, err := w.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() != "gitaly_praefect_verification_jobs_completed_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			labels := map[string]string{}
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			if labels["storage"] == storage && labels["result"] == result {
				return metric.GetCounter().GetValue()
			}
		}
	}
	require.Fail(t, "no such series")
	return 0
}

// TestT163MissingReplicasAreForgotten has a replica that is not on its disk.
//
// Requirements: T172
func TestT163MissingReplicasAreForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.gone["a"] = true
	w.run(t, verify.Config{Interval: time.Hour})
	w.await(t, func(c *assert.CollectT) {
		assert.Equal(c, coordinator.Absent, w.replica(c, "a").Generation)
	})
	repository, err := w.store.Load(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, coordinator.Storage("b"), repository.Primary)
	claims, err := w.store.ClaimRepairs(t.Context(), coordinator.RepairRequest{
		Claim: 1, TTL: time.Hour, Targets: []coordinator.RepairTarget{
			{VirtualStorage: "default", Storage: "a", Limit: 1},
		},
	})
	require.NoError(t, err)
	require.Len(t, claims, 1, "it is repaired")
	require.InDelta(t, 1, w.completed(t, "a", "invalid"), 0)
	require.Zero(t, w.completed(t, "b", "invalid"))
}

func TestT169RemovalsAreLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.gone["b"] = true
	w.run(t, verify.Config{Interval: time.Hour})
	w.await(t, func(c *assert.CollectT) {
		assert.Equal(c, coordinator.Absent, w.replica(c, "b").Generation)
	})
	lines := w.logs.FilterMessage("removing metadata records of non-existent replicas").All()
	require.Len(t, lines, 1)
	require.Equal(t, true, lines[0].ContextMap()["perform_deletions"])
	require.Equal(t,
		map[coordinator.VirtualStorage]map[string][]coordinator.Storage{"default": {path: {"b"}}},
		lines[0].ContextMap()["replicas"])
}

func TestT171MissingReplicasAreOnlyLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.gone["b"] = true
	w.run(t, verify.Config{Interval: time.Hour, Keep: true})
	w.await(t, func(c *assert.CollectT) {
		assert.Equal(c, 1,
			w.logs.FilterField(zap.Bool("perform_deletions", false)).Len())
	})
	require.Zero(t, w.replica(t, "b").Generation)
}

// TestLastCopyIsKept has a repository that is on no disk any more: its loss stays visible.
func TestLastCopyIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.gone["a"], w.gone["b"] = true, true
	w.run(t, verify.Config{Interval: time.Hour})
	const kept = "metadata record of a non-existent replica is kept"
	w.await(t, func(c *assert.CollectT) { assert.NotZero(c, w.logs.FilterMessage(kept).Len()) })
	repository, err := w.store.Load(t.Context(), 1)
	require.NoError(t, err)
	require.True(t, repository.Current("a") || repository.Current("b"))
}

func TestT164FailedLooksAreRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sick = true
	w.run(t, verify.Config{Interval: time.Hour})
	const failed = "failed to verify replica's existence"
	w.await(t, func(c *assert.CollectT) {
		assert.Greater(c, w.logs.FilterMessage(failed).Len(), 2)
	})
	line := w.logs.FilterMessage(failed).All()[0]
	require.Equal(t, zap.ErrorLevel, line.Level)
	for _, field := range []string{
		"virtual_storage", "relative_path", "storage", "repository_id", "replica_path", "error",
	} {
		require.Contains(t, line.ContextMap(), field)
	}
	require.Zero(t, w.replica(t, "a").VerifiedAt)
	w.set(func() { w.sick = false })
	w.await(t, func(c *assert.CollectT) { assert.NotZero(c, w.replica(c, "a").VerifiedAt) })
}

func TestT158Disabled(t *testing.T) {
	t.Parallel()
	for _, interval := range []time.Duration{0, -time.Second} {
		w := newWorld(t)
		w.run(t, verify.Config{Interval: interval})
		w.await(t, func(c *assert.CollectT) {
			assert.Equal(c, 1, w.logs.FilterMessage("background verifier is disabled").Len())
		})
		families, err := w.registry.Gather()
		require.NoError(t, err)
		require.Empty(t, families)
		require.Zero(t, w.logs.FilterMessage("background verifier started").Len())
		require.Zero(t, w.replica(t, "a").VerifiedAt)
	}
}

// TestDifference has equal generations and different contents, which is nothing to tell of while a
// call changes them one by one; and contents that are equal are compared exactly now and then.
func TestDifference(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		b         string
		exact     int
		announced bool
		want      int
	}{
		"equal":                 {"1", 2, false, 0},
		"different":             {"2", 2, false, 1},
		"equal, exact":          {"1", 1, false, 1},
		"different for a while": {"2", 2, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.sums = map[coordinator.Storage]string{"a": "1", "b": test.b}
			if test.announced {
				require.NoError(t, w.store.Announce(t.Context(), coordinator.Announcement{
					Write: 7, Repository: 1, Incarnation: w.incarnation,
				}))
			}
			w.run(t, verify.Config{Interval: time.Hour, Exact: test.exact})
			w.await(t, func(c *assert.CollectT) {
				assert.NotZero(c, w.replica(c, "a").VerifiedAt)
			})
			due, err := w.store.ClaimVerifications(t.Context(), 10, time.Hour)
			require.NoError(t, err)
			require.Len(t, due, test.want)
		})
	}
}
