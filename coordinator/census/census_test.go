package census_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"praefect/coordinator"
	"praefect/coordinator/census"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store answers after a while, and counts how often it was asked.
type store struct {
	takes time.Duration
	err   error
	asked int
	// healthy is what it was told.
	healthy []coordinator.Place
}

var gitaly1 = coordinator.Place{VirtualStorage: "default", Storage: "gitaly-1"}

func (s *store) wait(ctx context.Context) error {
	select {
	case <-time.After(s.takes):
		return s.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *store) TallyUnavailable(
	ctx context.Context, healthy []coordinator.Place,
) ([]coordinator.Tally, error) {
	s.asked++
	s.healthy = healthy
	return []coordinator.Tally{
		{Place: coordinator.Place{VirtualStorage: "default"}, Number: 3},
	}, s.wait(ctx)
}

func (s *store) TallyRepairs(context.Context) ([]coordinator.Tally, error) {
	replaced := coordinator.Place{VirtualStorage: "default", Storage: "gitaly-0"}
	return []coordinator.Tally{
		{Place: gitaly1, State: "ready", Number: 7}, {Place: replaced, State: "ready", Number: 9},
	}, nil
}

func (s *store) TallyAudits(
	_ context.Context, _ []coordinator.Place, _ time.Duration,
) ([]coordinator.Tally, error) {
	return []coordinator.Tally{{Place: gitaly1, State: "expired", Number: 2}}, nil
}

func (s *store) TallyWork(context.Context) ([]coordinator.Tally, error) {
	return []coordinator.Tally{
		{State: coordinator.TallyHeld, Number: 4}, {State: coordinator.TallyOldest, Number: 1500},
	}, nil
}

type onlyFirst struct{}

func (onlyFirst) Healthy(_ coordinator.VirtualStorage, storage coordinator.Storage) bool {
	return storage == "gitaly-1"
}

// begin runs a census within a bubble and returns a scrape of it.
func begin(
	t *testing.T, store *store, config census.Config,
) (scrape func() string, logs *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.ErrorLevel)
	made, err := census.New(census.Dependencies{
		Cluster: coordinator.Cluster{
			VirtualStorages: map[coordinator.VirtualStorage]coordinator.VirtualStorageConfig{
				"default": {Storages: []coordinator.Storage{"gitaly-1", "gitaly-2"}},
				"other":   {Storages: []coordinator.Storage{"gitaly-3"}},
			},
		},
		Store: store, Health: onlyFirst{}, Registerer: prometheus.NewRegistry(),
	}, zap.New(core), config)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- made.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(made))
	return func() string {
		families, err := registry.Gather()
		require.NoError(t, err)
		var text strings.Builder
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				text.WriteString(family.GetName() + " " + metric.String() + "\n")
			}
		}
		return text.String()
	}, logs
}

func TestScrape(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &store{}
		want, err := os.Open("testdata/scrape.txt")
		require.NoError(t, err)
		defer want.Close() //nolint:errcheck // It was only read.
		made, err := census.New(census.Dependencies{
			Cluster: coordinator.Cluster{
				VirtualStorages: map[coordinator.VirtualStorage]coordinator.VirtualStorageConfig{
					"default": {Storages: []coordinator.Storage{"gitaly-1", "gitaly-2"}},
					"other":   {},
				},
			},
			Store: store, Health: onlyFirst{}, Registerer: prometheus.NewRegistry(),
		}, zap.NewNop(), census.Config{Interval: time.Hour})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- made.Run(ctx) }()
		require.NoError(t, testutil.CollectAndCompare(made, want,
			"gitaly_praefect_unavailable_repositories", "gitaly_praefect_replication_queue_depth",
			"gitaly_praefect_verification_queue_depth", "gitaly_praefect_open_turns",
			"gitaly_praefect_oldest_turn_seconds"))
		require.Equal(t, []coordinator.Place{gitaly1}, store.healthy)
		cancel()
		require.NoError(t, <-done)
	})
}

// TestScrapesAreCheap asks the store no more often than it may, however many scrapes there are.
func TestScrapesAreCheap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &store{takes: 500 * time.Millisecond}
		scrape, _ := begin(t, store, census.Config{Pause: 2 * time.Second})
		for range 100 {
			require.Contains(t, scrape(), "unavailable")
		}
		require.Equal(t, 1, store.asked)
		<-time.After(4 * time.Second)
		scrape()
		require.Equal(t, 1, store.asked, "half a second of counting is paid for by 4.5 s")
		<-time.After(time.Second)
		scrape()
		require.Equal(t, 2, store.asked)
	})
}

// TestScrapesDoNotWait shows what was found before while a count takes long, and nothing once that
// is too old.
func TestScrapesDoNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &store{}
		scrape, _ := begin(t, store, census.Config{
			Timeout: time.Hour, Patience: time.Second, Stale: time.Minute,
		})
		require.Contains(t, scrape(), "unavailable")
		store.takes = 50 * time.Minute
		<-time.After(10 * time.Second)
		began := time.Now()
		require.Contains(t, scrape(), "unavailable")
		require.Equal(t, time.Second, time.Since(began))
		<-time.After(time.Minute)
		require.Empty(t, scrape())
	})
}

// TestFailures leaves out what could not be counted, and says so.
func TestFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &store{err: errors.New("database is gone")}
		scrape, logs := begin(t, store, census.Config{})
		found := scrape()
		require.NotContains(t, found, "unavailable")
		require.NotContains(t, found, "verification_queue", "nobody looks for replicas")
		require.Contains(t, found, "replication_queue_depth")
		require.Equal(t, 1, logs.FilterMessage(
			"failed collecting unavailable repository count metric").Len())
	})
}

func TestInvalidConfig(t *testing.T) {
	t.Parallel()
	_, err := census.New(census.Dependencies{}, zap.NewNop(), census.Config{Pause: -1})
	require.ErrorIs(t, err, census.ErrInvalidConfig)
}
