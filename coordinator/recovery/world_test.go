package recovery_test

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"praefect/coordinator"
	"praefect/coordinator/memory"
	"praefect/coordinator/recovery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	virtual = coordinator.VirtualStorage("default")
	path    = "group/project.git"
	// forever outlasts every test.
	forever = 1000 * time.Hour
	// moment is enough for everything that needs no waiting.
	moment = 10 * time.Millisecond
)

// key is the repository of all tests.
func key() coordinator.Key { return coordinator.Key{VirtualStorage: virtual, RelativePath: path} }

type storages = []coordinator.Storage

// disks stand for the nodes and for their health: each storage holds one text.
type disks struct {
	mu      sync.Mutex // guards the fields below
	content map[coordinator.Storage]string
	sick    map[coordinator.Storage]bool
	// broken nodes answer with an error, frozen ones not at all.
	broken, frozen map[coordinator.Storage]bool
	// silent are paths on disks of which no node tells anything.
	silent map[string]bool
	// locks are the names of lock files; looking for them is not counted.
	locks map[coordinator.Storage]string
	// asked counts questions.
	asked map[coordinator.Storage]int
	// before is called in front of each answer.
	before func(recovery.Question)
}

func newDisks() *disks {
	return &disks{
		content: map[coordinator.Storage]string{}, sick: map[coordinator.Storage]bool{},
		broken: map[coordinator.Storage]bool{}, frozen: map[coordinator.Storage]bool{},
		asked: map[coordinator.Storage]int{}, silent: map[string]bool{},
		locks: map[coordinator.Storage]string{},
	}
}

func (d *disks) set(change func(*disks)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

// write changes what some disks hold.
func (d *disks) write(content string, storages ...coordinator.Storage) {
	d.set(func(d *disks) {
		for _, storage := range storages {
			d.content[storage] = content
		}
	})
}

func (d *disks) Healthy(_ coordinator.VirtualStorage, storage coordinator.Storage) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.sick[storage]
}

var errBroken = errors.New("node is broken")

func (d *disks) Digest(ctx context.Context, question recovery.Question) (string, error) {
	d.mu.Lock()
	if question.Kind == "locks" {
		defer d.mu.Unlock()
		return "locks: " + cmp.Or(d.locks[question.Storage], "none"), nil
	}
	d.asked[question.Storage]++
	before, frozen := d.before, d.frozen[question.Storage]
	d.mu.Unlock()
	if before != nil {
		before(question)
	}
	if frozen {
		<-ctx.Done()
		return "", ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken[question.Storage] || d.silent[question.ReplicaPath] {
		return "", errBroken
	}
	if d.content[question.Storage] == recovery.Absent {
		return recovery.Absent, nil
	}
	return string(question.Kind) + ":" + d.content[question.Storage], nil
}

func (d *disks) questions(storage coordinator.Storage) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[storage]
}

// world is metadata in memory over disks.
type world struct {
	store *memory.Store
	disks *disks
}

// newWorld has one repository, current on a, b and c, its primary a.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{store: memory.New(), disks: newDisks()}
	w.repository(t, 1000, path)
	w.disks.write("old", "a", "b", "c")
	return w
}

// repository makes a repository, and returns its path on disks.
func (w *world) repository(t *testing.T, id coordinator.RepositoryID, path string) string {
	t.Helper()
	creation := coordinator.Creation{
		ID: id, Key: coordinator.Key{VirtualStorage: virtual, RelativePath: path}, Primary: "a",
		Participants: storages{"a", "b", "c"}, Assigned: storages{"a", "b", "c"},
		Incarnation: w.enlist(t, "creator"),
	}
	creation.ReplicaPath = coordinator.ReplicaPath(creation.ID, path)
	require.NoError(t, w.store.Create(t.Context(), creation))
	require.NoError(t, w.store.Complete(t.Context(), creation.ID))
	return creation.ReplicaPath
}

// list makes storages of letters.
func list(letters string) storages {
	var list storages
	for _, letter := range letters {
		list = append(list, coordinator.Storage(letter))
	}
	return list
}

// set puts contents on the disks of a, b and c: o is old, n is new, x is third, - is gone, ! is
// broken.
func (w *world) set(contents string) {
	texts := map[byte]string{'o': "old", 'n': "new", 'x': "third", '-': recovery.Absent}
	for i, storage := range (storages{"a", "b", "c"}) {
		w.disks.write(texts[contents[i]], storage)
		w.disks.set(func(d *disks) { d.broken[storage] = contents[i] == '!' })
	}
}

// enlist begins an incarnation of that name.
func (w *world) enlist(t *testing.T, name string) coordinator.Incarnation {
	t.Helper()
	incarnation := coordinator.Incarnation(rand.Int64N(1<<62) + 1)
	_, err := w.store.Enlist(t.Context(), coordinator.Enlistment{
		Incarnation: incarnation, Name: name, TTL: forever,
	})
	require.NoError(t, err)
	return incarnation
}

// left leaves a turn behind under which the storages may commit, and the end of its proxy.
func (w *world) left(
	t *testing.T, kind coordinator.WriteKind, participants ...coordinator.Storage,
) coordinator.WriteID {
	t.Helper()
	return w.leftIn(t, 1000, kind, participants...)
}

func (w *world) leftIn(
	t *testing.T, id coordinator.RepositoryID, kind coordinator.WriteKind,
	participants ...coordinator.Storage,
) coordinator.WriteID {
	t.Helper()
	lost := w.enlist(t, "lost "+strconv.Itoa(rand.Int()))
	write := coordinator.WriteID(rand.Int64N(1<<62) + 1)
	_, err := w.store.OpenTurn(t.Context(), coordinator.Intent{
		Write: write, Repository: id, Incarnation: lost, Kind: kind,
		Participants: participants,
	})
	require.NoError(t, err)
	require.NoError(t, w.store.Resign(t.Context(), lost))
	return write
}

func (w *world) load(t *testing.T) coordinator.Repository {
	t.Helper()
	found, err := w.store.Lookup(t.Context(), key())
	require.NoError(t, err)
	return found
}

// current lists who is recorded as current.
func (w *world) current(t *testing.T) storages {
	t.Helper()
	repository := w.load(t)
	var current storages
	for _, replica := range repository.Replicas {
		if repository.Current(replica.Storage) {
			current = append(current, replica.Storage)
		}
	}
	return current
}

// requireOutcome demands who is current and leads, and that the turn is free.
func (w *world) requireOutcome(
	t *testing.T, primary coordinator.Storage, current ...coordinator.Storage,
) {
	t.Helper()
	require.Equal(t, current, w.current(t))
	found := w.load(t)
	require.Equal(t, primary, found.Primary)
	require.False(t, found.TurnHeld)
}

// requireWaiting demands that nothing is decided.
func (w *world) requireWaiting(t *testing.T) {
	t.Helper()
	require.Equal(t, storages{"a", "b", "c"}, w.current(t))
	require.True(t, w.load(t).TurnHeld)
}

// process is a proxy with a coordinator and a recovery worker.
type process struct {
	*coordinator.Coordinator
	core zapcore.Core
	logs *observer.ObservedLogs

	mu          sync.Mutex // guards the fields below
	incarnation coordinator.Incarnation
	lost        bool
}

// Incarnation implements [coordinator.Lease].
func (p *process) Incarnation() (coordinator.Incarnation, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.incarnation, !p.lost
}

// lose makes the process see that its lease is lost, or held again.
func (p *process) lose(lost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = lost
}

// AwaitAcknowledged implements [coordinator.Peers]: nobody else caches anything.
func (*process) AwaitAcknowledged(context.Context, coordinator.Sequence) error { return nil }

// prepare makes a process that does nothing yet.
func (w *world) prepare(t *testing.T, name string) *process {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	p := &process{incarnation: w.enlist(t, name), core: core, logs: logs}
	made, err := coordinator.New(coordinator.Dependencies{
		Cluster: coordinator.Cluster{
			VirtualStorages: map[coordinator.VirtualStorage]coordinator.VirtualStorageConfig{
				virtual: {Storages: storages{"a", "b", "c"}, MinimumCopies: 1},
			},
		},
		Store: w.store, Health: w.disks, Agreed: w.disks, Lease: p, Peers: p,
		Registerer: prometheus.NewRegistry(),
	}, zap.New(core), coordinator.Config{})
	require.NoError(t, err)
	p.Coordinator = made
	return p
}

// work runs the worker until the returned function is called.
func (w *world) work(
	t *testing.T, p *process, store recovery.Store, config recovery.Config,
) func() {
	t.Helper()
	if store == nil {
		store = w.store
	}
	worker, err := recovery.New(recovery.Dependencies{
		Store: store, Digester: w.disks, Turns: p, Routes: p, Health: w.disks, Lease: p,
		TurnsLeft: p.TurnsLeft(), Registerer: prometheus.NewRegistry(),
	}, zap.New(p.core), config)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- worker.Run(ctx) }()
	return func() {
		cancel()
		require.NoError(t, <-done)
	}
}
