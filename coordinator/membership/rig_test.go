package membership_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"praefect/coordinator"
	"praefect/coordinator/membership"
)

var (
	_ coordinator.Lease  = (*membership.Worker)(nil)
	_ coordinator.Health = (*membership.Worker)(nil)
	_ coordinator.Peers  = (*membership.Worker)(nil)
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	virtual = coordinator.VirtualStorage("default")
	// The times of the default configuration.
	lease  = 5 * time.Second
	margin = 2 * time.Second
	period = 500 * time.Millisecond
)

// rig is a worker with everything around it. It is also what follows in its process.
type rig struct {
	*membership.Worker
	t        *testing.T
	registry *prometheus.Registry
	logs     *observer.ObservedLogs
	log      *zap.Logger
	cancel   context.CancelFunc
	done     chan error

	// wall and monotonic are what the clocks are ahead of the time of the test.
	wall, monotonic atomic.Int64
	// meanwhile happens once, after the clocks were read and before anybody knows.
	meanwhile atomic.Pointer[func()]

	mu sync.Mutex // guards the fields below
	// events are what happened here, in order.
	events  []string
	notices []coordinator.Notice
	sick    map[coordinator.Storage]bool
	tails   int
	// block, if not nil, holds Invalidate and Forget until it is closed.
	block chan struct{}
	// heldAtForget says that the lease held when routes were still to be forgotten.
	heldAtForget bool
}

// start runs a worker named "own" on the ledger.
func start(t *testing.T, store *ledger) *rig {
	t.Helper()
	r := prepare(t, store)
	r.run()
	return r
}

// settled runs a worker until it has kept its lease for so long that it takes the next at once.
func settled(t *testing.T, store *ledger) *rig {
	t.Helper()
	r := start(t, store)
	<-r.Enlisted()
	after(2*lease + time.Millisecond)
	return r
}

func prepare(t *testing.T, store *ledger) *rig {
	t.Helper()
	return prepareOn(t, store, membership.Config{Name: "own"})
}

// prepareOn makes a worker with clocks that the test can set.
func prepareOn(t *testing.T, store coordinator.Members, config membership.Config) *rig {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	r := &rig{
		t: t, registry: prometheus.NewRegistry(), logs: logs, log: zap.New(core),
		done: make(chan error, 1), sick: map[coordinator.Storage]bool{},
	}
	begin := time.Now()
	config.Clock = func() membership.Instant {
		elapsed := time.Since(begin)
		read := membership.Instant{
			Monotonic: elapsed + time.Duration(r.monotonic.Load()),
			Wall:      elapsed + time.Duration(r.wall.Load()),
		}
		if meanwhile := r.meanwhile.Swap(nil); meanwhile != nil {
			(*meanwhile)()
		}
		return read
	}
	worker, err := membership.New(membership.Dependencies{
		Cluster: coordinator.Cluster{
			VirtualStorages: map[coordinator.VirtualStorage]coordinator.VirtualStorageConfig{
				virtual: {Storages: []coordinator.Storage{"a", "b"}},
			},
		},
		Store: store, Health: local{r}, Registerer: r.registry,
	}, r.log, config)
	require.NoError(t, err)
	r.Worker = worker
	return r
}

func (r *rig) run() {
	ctx, cancel := context.WithCancel(r.t.Context())
	r.cancel = cancel
	go func() { r.done <- r.Run(ctx, membership.Local{Routes: r, Notices: r, Tail: r}) }()
}

// stop ends the worker and waits for it.
func (r *rig) stop() {
	r.t.Helper()
	r.cancel()
	require.NoError(r.t, <-r.done)
}

// local is what the process of the rig finds of the storages.
type local struct{ *rig }

func (l local) Healthy(_ coordinator.VirtualStorage, storage coordinator.Storage) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.sick[storage]
}

func (r *rig) happen(event string) chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event)
	return r.block
}

func (r *rig) Invalidate(key coordinator.Key) {
	if block := r.happen(key.RelativePath); block != nil {
		<-block
	}
}

func (r *rig) Forget() {
	block := r.happen("forget")
	if block != nil {
		<-block
	}
	_, holds := r.Incarnation()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heldAtForget = r.heldAtForget || holds
}

func (r *rig) Notify(notice coordinator.Notice) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notices = append(r.notices, notice)
}

func (r *rig) TailLost(context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tails++
}

// set changes what the lock guards.
func (r *rig) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

// saw returns the events since the last call.
func (r *rig) saw() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.events
	r.events = nil
	return events
}

func (r *rig) tailsLost() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tails
}

// holding requires that the lease holds and returns the incarnation.
func (r *rig) holding() coordinator.Incarnation {
	r.t.Helper()
	incarnation, holds := r.Incarnation()
	require.True(r.t, holds)
	require.Positive(r.t, incarnation)
	return incarnation
}

func (r *rig) notHolding() {
	r.t.Helper()
	_, holds := r.Incarnation()
	require.False(r.t, holds)
}

// messages are what was logged, without repetition of what is due to the test's end.
func (r *rig) messages() []string {
	var messages []string
	for _, entry := range r.logs.All() {
		messages = append(messages, entry.Message)
	}
	return messages
}

// reasons are why leases were lost, in order.
func (r *rig) reasons() []string {
	var reasons []string
	for _, entry := range r.logs.FilterMessage("lease lost").All() {
		reason, _ := entry.ContextMap()["reason"].(string)
		reasons = append(reasons, reason)
	}
	return reasons
}

// after lets time pass until everybody waits.
func after(duration time.Duration) {
	<-time.After(duration)
	synctest.Wait()
}

// metric returns the value of a counter or gauge, summed over its labels if none is given.
func (r *rig) metric(name string, labels ...string) int {
	r.t.Helper()
	families, err := r.registry.Gather()
	require.NoError(r.t, err)
	var sum float64
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			if len(labels) == 0 || slices.Contains(labels, metric.GetLabel()[0].GetValue()) {
				sum += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			}
		}
	}
	return int(sum)
}
