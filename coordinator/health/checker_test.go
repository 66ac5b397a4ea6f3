package health_test

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
	"go.uber.org/zap/zaptest/observer"

	"praefect/coordinator"
	"praefect/coordinator/health"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answer is how a node answers one check.
type answer struct {
	verdict health.Verdict
	// hangs makes the node take until the deadline.
	hangs bool
}

// script answers the checks of one node in order, the last answer for ever.
type script struct {
	mu      sync.Mutex // guards the fields below
	answers map[coordinator.Storage][]answer
	begun   map[coordinator.Storage][]time.Duration
	start   time.Time
}

func (s *script) Probe(
	ctx context.Context, _ coordinator.VirtualStorage, storage coordinator.Storage,
) (health.Verdict, error) {
	current := s.next(storage)
	if current.hangs {
		<-ctx.Done()
		return health.Missed, ctx.Err()
	}
	return current.verdict, errors.New("why")
}

func (s *script) next(storage coordinator.Storage) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun[storage] = append(s.begun[storage], time.Since(s.start))
	list := s.answers[storage]
	if len(list) > 1 {
		s.answers[storage] = list[1:]
	}
	return list[0]
}

func cluster(storages ...coordinator.Storage) coordinator.Cluster {
	return coordinator.Cluster{
		VirtualStorages: map[coordinator.VirtualStorage]coordinator.VirtualStorageConfig{
			"default": {Storages: storages},
		},
	}
}

// half is the timeout of the tests, so that a round is over well before the next begins.
const half = 500 * time.Millisecond

// start runs a checker over a script, in a bubble with its own time, and returns how to stop it.
func start(t *testing.T, nodes *script, log *zap.Logger) (*health.Checker, func()) {
	t.Helper()
	nodes.begun, nodes.start = map[coordinator.Storage][]time.Duration{}, time.Now()
	var storages []coordinator.Storage
	for storage := range nodes.answers {
		storages = append(storages, storage)
	}
	checker, err := health.New(nodes, cluster(storages...), prometheus.NewRegistry(), log,
		health.Config{Timeout: half})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- checker.Run(ctx) }()
	return checker, func() {
		cancel()
		require.NoError(t, <-done)
	}
}

// TestView follows one storage round by round.
func TestView(t *testing.T) {
	t.Parallel()
	serving, missed := answer{verdict: health.Serving}, answer{hangs: true}
	refused, inconclusive := answer{verdict: health.Refused}, answer{verdict: health.Inconclusive}
	for name, tc := range map[string]struct {
		answers []answer
		want    []bool
	}{
		"serving":            {[]answer{serving}, []bool{true, true}},
		"unknown and silent": {[]answer{missed, serving}, []bool{false, true}},
		"one miss":           {[]answer{serving, missed, serving}, []bool{true, true, true}},
		"two misses":         {[]answer{serving, missed, missed}, []bool{true, true, false}},
		"misses not in a row": {
			[]answer{serving, missed, serving, missed}, []bool{true, true, true, true},
		},
		"refused":               {[]answer{serving, refused, serving}, []bool{true, false, true}},
		"refused before":        {[]answer{refused, missed, serving}, []bool{false, false, true}},
		"inconclusive":          {[]answer{serving, inconclusive}, []bool{true, true, true}},
		"inconclusive at first": {[]answer{inconclusive}, []bool{false, false}},
		"inconclusive is no end": {
			[]answer{serving, missed, inconclusive, missed}, []bool{true, true, true, false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				nodes := &script{answers: map[coordinator.Storage][]answer{"one": tc.answers}}
				checker, stop := start(t, nodes, zap.NewNop())
				defer stop()
				<-time.After(half + half/2)
				for round, want := range tc.want {
					require.Equal(t, want, checker.Healthy("default", "one"), "round %d", round)
					<-time.After(time.Second)
				}
			})
		})
	}
}

// TestRounds has one node that hangs: the other is asked on time all the same.
//
// Requirements: T175
func TestRounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		nodes := &script{answers: map[coordinator.Storage][]answer{
			"hangs": {{hangs: true}}, "serves": {{verdict: health.Serving}},
		}}
		checker, stop := start(t, nodes, zap.NewNop())
		synctest.Wait()
		select {
		case <-checker.Checked():
			require.Fail(t, "the first round is not over")
		default:
		}
		<-checker.Checked()
		require.True(t, checker.Healthy("default", "serves"))
		require.False(t, checker.Healthy("default", "hangs"))
		<-time.After(2 * time.Second)
		stop()
		want := []time.Duration{0, time.Second, 2 * time.Second}
		require.Equal(t, want, nodes.begun["serves"])
		require.Equal(t, want, nodes.begun["hangs"])
	})
}

// TestReport believes a refused connection at once, and the next round makes up for it.
func TestReport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		nodes := &script{answers: map[coordinator.Storage][]answer{
			"one": {{verdict: health.Serving}},
		}}
		checker, stop := start(t, nodes, zap.New(core))
		<-checker.Checked()
		checker.Report("default", "one", health.Refused, errors.New("connection refused"))
		require.False(t, checker.Healthy("default", "one"))
		checker.Report("default", "other", health.Serving, nil)
		require.False(t, checker.Healthy("default", "other"), "it is not in the cluster")
		require.False(t, checker.Healthy("other", "one"))
		<-time.After(time.Second + time.Millisecond)
		require.True(t, checker.Healthy("default", "one"))
		stop()

		var messages []string
		for _, entry := range logs.All() {
			messages = append(messages, entry.Message)
		}
		require.Equal(t, []string{
			"health manager started", "storage is healthy", "failed checking node health",
			"storage is healthy",
		}, messages)
		require.Equal(t, "connection refused", logs.All()[2].ContextMap()["error"])
	})
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	_, err := health.New(&script{}, cluster("one"), prometheus.NewRegistry(), zap.NewNop(),
		health.Config{Misses: -1})
	require.ErrorIs(t, err, health.ErrInvalidConfig)
	registry := prometheus.NewRegistry()
	for _, check := range []require.ErrorAssertionFunc{require.NoError, require.Error} {
		_, err = health.New(&script{}, cluster("one"), registry, zap.NewNop(), health.Config{})
		check(t, err, "metrics can be registered once")
	}
}

// slow answers each check after a while, unless its caller gives up before.
type slow time.Duration

func (s slow) Probe(
	ctx context.Context, _ coordinator.VirtualStorage, _ coordinator.Storage,
) (health.Verdict, error) {
	select {
	case <-time.After(time.Duration(s)):
		return health.Serving, nil
	case <-ctx.Done():
		return health.Missed, ctx.Err()
	}
}

// TestT009AnswerWithinOneSecond has nodes that are slow, and no settings: who needs more than a
// second counts as sick, whoever needs less does not.
func TestT009AnswerWithinOneSecond(t *testing.T) {
	t.Parallel()
	for delay, healthy := range map[time.Duration]bool{
		half: true, 999 * time.Millisecond: true, 1001 * time.Millisecond: false,
		1500 * time.Millisecond: false,
	} {
		t.Run(delay.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				checker, err := health.New(slow(delay), cluster("one"), prometheus.NewRegistry(),
					zap.NewNop(), health.Config{})
				require.NoError(t, err)
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- checker.Run(ctx) }()
				<-time.After(10 * time.Second)
				require.Equal(t, healthy, checker.Healthy("default", "one"))
				stop()
				require.NoError(t, <-ended)
			})
		})
	}
}
