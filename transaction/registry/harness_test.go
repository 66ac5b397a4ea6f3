package registry_test

import (
	"context"
	"crypto/sha1"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"praefect/proxy/gitalypb"
	"praefect/transaction"
	"praefect/transaction/registry"
)

const (
	preparing = gitalypb.VoteTransactionRequest_PREPARING_PHASE
	prepared  = gitalypb.VoteTransactionRequest_PREPARED_PHASE
	committed = gitalypb.VoteTransactionRequest_COMMITTED_PHASE
	syncing   = gitalypb.VoteTransactionRequest_SYNCHRONIZED_PHASE

	commit = gitalypb.VoteTransactionResponse_COMMIT
	abort  = gitalypb.VoteTransactionResponse_ABORT
	stop   = gitalypb.VoteTransactionResponse_STOP
)

// writer stands for those who decide. What a function field says happens; nil means success at
// once.
type writer struct {
	take    func(context.Context) ([]transaction.Voter, error)
	record  func(context.Context, transaction.Record) error
	confirm func(context.Context, uint64, transaction.Voter) (bool, error)
	// committing is called in addition to what is noted.
	committing func()
	// leases answer whether the lease holds, one after the other; after the last it does.
	leases []bool
	// overran is called in addition to what is noted.
	overran func()

	mu        sync.Mutex
	contended bool
	log       []string
	records   []transaction.Record
}

func (w *writer) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, what)
}

func (w *writer) calls() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string{}, w.log...)
}

func (w *writer) recorded() []transaction.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]transaction.Record{}, w.records...)
}

func (w *writer) TakeTurn(ctx context.Context) ([]transaction.Voter, error) {
	w.note("take")
	if w.take != nil {
		return w.take(ctx)
	}
	return nil, nil
}

func (w *writer) Contended() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.contended
}

func (w *writer) ReleaseTurn(context.Context) { w.note("release") }

func (w *writer) Leased() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.leases) == 0 {
		return true
	}
	leased := w.leases[0]
	w.leases = w.leases[1:]
	return leased
}

// script says how the lease answers from now on.
func (w *writer) script(leases ...bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leases = leases
}

func (w *writer) Overran(context.Context) error {
	if w.overran != nil {
		w.overran()
	}
	w.note("overran")
	return nil
}

func (w *writer) Committing() {
	w.note("committing")
	if w.committing != nil {
		w.committing()
	}
}

func (w *writer) Record(ctx context.Context, r transaction.Record) error {
	w.note("record")
	if w.record != nil {
		if err := w.record(ctx, r); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = append(w.records, r)
	return nil
}

func (w *writer) Confirm(
	ctx context.Context, write uint64, voter transaction.Voter,
) (bool, error) {
	w.note("confirm " + string(voter))
	if w.confirm != nil {
		return w.confirm(ctx, write, voter)
	}
	return true, nil
}

// bundle is a registry with one transaction of three nodes.
type bundle struct {
	t        *testing.T
	registry *registry.Registry
	metrics  *prometheus.Registry
	logs     *observer.ObservedLogs
	writer   *writer
	live     *registry.Live
	answers  sync.WaitGroup
}

func newRegistry(t *testing.T, config registry.Config) *bundle {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	b := &bundle{t: t, metrics: prometheus.NewRegistry(), logs: logs, writer: &writer{}}
	r, err := registry.New(b.metrics, zap.New(core), config)
	require.NoError(t, err)
	b.registry = r
	return b
}

// begin starts the transaction of gitaly-1 (primary), gitaly-2 and gitaly-3 with two copies at
// least.
func begin(t *testing.T, change ...func(*transaction.Config)) *bundle {
	t.Helper()
	b := newRegistry(t, registry.Config{})
	b.live = b.another(change...)
	return b
}

func (b *bundle) another(change ...func(*transaction.Config)) *registry.Live {
	b.t.Helper()
	voting := transaction.Config{
		Primary: "gitaly-1", Secondaries: []transaction.Voter{"gitaly-2", "gitaly-3"},
		MinimumCopies: 2,
	}
	for _, f := range change {
		f(&voting)
	}
	live, err := b.registry.Begin(b.t.Context(), registry.Options{
		VirtualStorage: "default", Voting: voting, Writer: b.writer,
	})
	require.NoError(b.t, err)
	return live
}

// finish ends the transaction and returns what is known of it.
func (b *bundle) finish() transaction.Summary {
	b.t.Helper()
	summary, err := b.live.Finish(b.t.Context())
	require.NoError(b.t, err)
	b.answers.Wait()
	return summary
}

// pending is a vote that was cast.
type pending struct {
	state gitalypb.VoteTransactionResponse_TransactionState
	err   error
	took  time.Duration
	done  chan struct{}
}

func (p *pending) answered() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func request(
	live *registry.Live, node string, phase gitalypb.VoteTransactionRequest_Phase, word string,
) *gitalypb.VoteTransactionRequest {
	hash := sha1.Sum([]byte(word))
	if word == "zero" {
		hash = [20]byte{}
	}
	return &gitalypb.VoteTransactionRequest{
		TransactionId: live.ID(), Node: node, ReferenceUpdatesHash: hash[:], Phase: phase,
	}
}

// vote casts a vote in the background and waits until nothing moves any more.
func (b *bundle) vote(
	node string, phase gitalypb.VoteTransactionRequest_Phase, word string,
) *pending {
	return b.voteCtx(b.t.Context(), request(b.live, node, phase, word))
}

func (b *bundle) voteCtx(
	ctx context.Context, request *gitalypb.VoteTransactionRequest,
) *pending {
	p := &pending{done: make(chan struct{})}
	service := b.registry.Service(transaction.Voter(request.GetNode()))
	begin := time.Now()
	b.answers.Go(func() {
		defer close(p.done)
		response, err := service.VoteTransaction(ctx, request)
		p.state, p.err, p.took = response.GetState(), err, time.Since(begin)
	})
	synctest.Wait()
	return p
}

// all casts the same vote of every node named, one after the other.
func (b *bundle) all(
	phase gitalypb.VoteTransactionRequest_Phase, word string, nodes ...string,
) []*pending {
	if len(nodes) == 0 {
		nodes = []string{"gitaly-1", "gitaly-2", "gitaly-3"}
	}
	var list []*pending
	for _, node := range nodes {
		list = append(list, b.vote(node, phase, word))
	}
	return list
}

// pass lets time pass in the bubble until nothing moves any more.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// require checks that all votes have been answered alike.
func (b *bundle) require(
	want gitalypb.VoteTransactionResponse_TransactionState, votes ...*pending,
) {
	b.t.Helper()
	for i, p := range votes {
		require.True(b.t, p.answered(), "vote %d waits", i)
		require.NoError(b.t, p.err)
		require.Equal(b.t, want, p.state, "vote %d", i)
	}
}

func (b *bundle) requireWaiting(votes ...*pending) {
	b.t.Helper()
	for i, p := range votes {
		require.False(b.t, p.answered(), "vote %d was answered", i)
	}
}

// value is the value of a metric with the given labels, which are pairs of name and value.
func (b *bundle) value(name string, labels ...string) float64 {
	b.t.Helper()
	families, err := b.metrics.Gather()
	require.NoError(b.t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			has := map[string]string{}
			for _, pair := range m.GetLabel() {
				has[pair.GetName()] = pair.GetValue()
			}
			if family.GetName() == name && covers(has, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() +
					float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return 0
}

func covers(has map[string]string, labels []string) bool {
	for i := 0; i < len(labels); i += 2 {
		if has[labels[i]] != labels[i+1] {
			return false
		}
	}
	return true
}
