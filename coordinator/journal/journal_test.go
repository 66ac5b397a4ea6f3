package journal_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"praefect/coordinator"
	"praefect/coordinator/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store remembers what was written, and fails as it is told.
type store struct {
	mu      sync.Mutex // guards the fields below
	written []string
	sizes   []int
	pruned  int
	err     error
}

func (s *store) AppendEntries(
	_ context.Context, proxy string, entries []coordinator.Entry,
) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if proxy != "here" {
		return fmt.Errorf("proxy %q", proxy)
	}
	s.sizes = append(s.sizes, len(entries))
	for _, entry := range entries {
		s.written = append(s.written, entry.Key.RelativePath)
	}
	return nil
}

func (s *store) PruneEntries(context.Context, int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pruned++
	return nil
}

func (s *store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *store) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.written...)
}

func entry(path string, notable bool) coordinator.Entry {
	return coordinator.Entry{Key: coordinator.Key{RelativePath: path}, Notable: notable}
}

// run starts a journal and returns what ends it.
func run(
	t *testing.T, to *store, config journal.Config,
) (*journal.Journal, *prometheus.Registry, func()) {
	t.Helper()
	config.Proxy = "here"
	registry := prometheus.NewRegistry()
	j, err := journal.New(to, registry, zaptest.NewLogger(t), config)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- j.Run(ctx) }()
	return j, registry, func() {
		cancel()
		require.NoError(t, <-done)
	}
}

// TestPace: ordinary entries wait to be written together, notable ones take them along at once.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		to := &store{}
		j, _, end := run(t, to, journal.Config{})
		defer end()
		j.Note(entry("a", false))
		synctest.Wait()
		require.Empty(t, to.got())
		j.Note(entry("b", true))
		synctest.Wait()
		require.Equal(t, []string{"b", "a"}, to.got())
		j.Note(entry("c", false))
		<-time.After(time.Second)
		synctest.Wait()
		require.Equal(t, []string{"b", "a", "c"}, to.got())
	})
}

// TestOutage: what the store does not take is kept, bounded, the newest of both kinds; what it
// refuses is given up, and the next is written.
func TestOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		to := &store{err: fmt.Errorf("%w: away", coordinator.ErrMetadataUnavailable)}
		j, registry, end := run(t, to, journal.Config{Queue: 3, Batch: 2})
		j.Note(entry("first", true))
		synctest.Wait()
		for i := range 5 {
			j.Note(entry(fmt.Sprint("ordinary-", i), false))
			j.Note(entry(fmt.Sprint("notable-", i), true))
		}
		to.fail(nil)
		<-time.After(time.Second)
		synctest.Wait()
		require.Equal(t, []string{
			"first", "notable-2", "notable-3", "notable-4",
			"ordinary-2", "ordinary-3", "ordinary-4",
		}, to.got())
		dropped, err := testutil.GatherAndCount(registry, "gitaly_praefect_journal_dropped_total")
		require.NoError(t, err)
		require.Equal(t, 1, dropped)

		to.fail(errors.New("refused"))
		j.Note(entry("bad", true))
		synctest.Wait()
		to.fail(nil)
		j.Note(entry("last", false))
		end()
		require.Equal(t, "last", to.got()[7], "what waits is written at the end")
	})
}

// TestBounds: no statement has more than a batch, and old entries are removed now and then.
func TestBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		to := &store{}
		j, _, end := run(t, to, journal.Config{Batch: 10, Keep: 100, Queue: 1000})
		for i := range 35 {
			j.Note(entry(fmt.Sprint(i), false))
		}
		end()
		require.Len(t, to.got(), 35)
		require.Equal(t, []int{10, 10, 10, 5}, to.sizes)
		require.Equal(t, 1, to.pruned)
	})
}
