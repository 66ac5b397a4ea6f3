package repair_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"praefect/coordinator"
	"praefect/coordinator/memory"
	"praefect/coordinator/metadatatest"
	"praefect/coordinator/repair"
	"praefect/transaction"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	virtual = coordinator.VirtualStorage("default")
	path    = "group/project.git"
)

func key(path string) coordinator.Key {
	return coordinator.Key{VirtualStorage: virtual, RelativePath: path}
}

// disks stand for the nodes: each storage holds references of repositories. They are also the
// health of the nodes and the copier between them.
type disks struct {
	mu sync.Mutex // guards the fields below
	// content is storage, path on disk, reference, value.
	content map[coordinator.Storage]map[string]map[string]int
	sick    map[coordinator.Storage]bool
	// fail, if set, makes the next copies fail; hang makes them wait for their context.
	fail int
	hang bool
	// pace is how long a copy takes for each reference.
	pace    time.Duration
	copies  []repair.Job
	removed []repair.Job
	// atOnce is the number of copies under way to or from a storage, most the highest it was.
	atOnce, most map[string]int
}

func newDisks() *disks {
	return &disks{
		content: map[coordinator.Storage]map[string]map[string]int{},
		sick:    map[coordinator.Storage]bool{}, pace: time.Millisecond,
		atOnce: map[string]int{}, most: map[string]int{},
	}
}

func (d *disks) Healthy(_ coordinator.VirtualStorage, storage coordinator.Storage) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.sick[storage]
}

func (d *disks) set(change func(*disks)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

// copied and gone list what was asked for; now and peak count the copies of one side.
func (d *disks) copied() []repair.Job {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.copies)
}

func (d *disks) gone() []repair.Job {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.removed)
}

func (d *disks) now(side string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.atOnce[side]
}

func (d *disks) peak(side string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.most[side]
}

// apply changes one reference on one disk.
func (d *disks) apply(storage coordinator.Storage, replicaPath, reference string, value int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.content[storage] == nil {
		d.content[storage] = map[string]map[string]int{}
	}
	if d.content[storage][replicaPath] == nil {
		d.content[storage][replicaPath] = map[string]int{}
	}
	d.content[storage][replicaPath][reference] = value
}

// get reads one reference, or lists them all.
func (d *disks) get(storage coordinator.Storage, replicaPath string) map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.content[storage][replicaPath])
}

var errBroken = errors.New("node is broken")

// Copy takes time, and reads one reference after the other, so that it is torn by whatever changes
// the source meanwhile.
func (d *disks) Copy(ctx context.Context, job repair.Job) error {
	hang, err := d.begin(job)
	defer d.end(job)
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	for reference := range d.get(job.Source, job.ReplicaPath) {
		select {
		case <-time.After(d.pace):
		case <-ctx.Done():
			return ctx.Err()
		}
		d.apply(job.Target, job.ReplicaPath, reference,
			d.get(job.Source, job.ReplicaPath)[reference])
	}
	return nil
}

func (d *disks) begin(job repair.Job) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.copies = append(d.copies, job)
	for _, side := range sides(job) {
		d.atOnce[side]++
		d.most[side] = max(d.most[side], d.atOnce[side])
	}
	if d.fail > 0 {
		d.fail--
		return false, errBroken
	}
	return d.hang, nil
}

func (d *disks) end(job repair.Job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, side := range sides(job) {
		d.atOnce[side]--
	}
}

func sides(job repair.Job) []string {
	return []string{"from " + string(job.Source), "to " + string(job.Target)}
}

func (d *disks) Remove(_ context.Context, job repair.Job) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.removed = append(d.removed, job)
	delete(d.content[job.Target], job.ReplicaPath)
	return nil
}

// world is a coordinator on metadata in memory, over disks.
type world struct {
	*coordinator.Coordinator
	store *memory.Store
	disks *disks
	alone metadatatest.Alone
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{store: memory.New(), disks: newDisks()}
	w.alone = metadatatest.NewAlone(t, w.store)
	made, err := coordinator.New(coordinator.Dependencies{
		Cluster: cluster(), Store: w.store, Health: w.disks, Agreed: w.disks,
		Lease: w.alone, Peers: w.alone,
		Registerer: prometheus.NewRegistry(),
	}, zap.NewNop(), coordinator.Config{})
	require.NoError(t, err)
	w.Coordinator = made
	return w
}

func cluster() coordinator.Cluster {
	return coordinator.Cluster{
		VirtualStorages: map[coordinator.VirtualStorage]coordinator.VirtualStorageConfig{
			virtual: {Storages: []coordinator.Storage{"a", "b", "c"}, MinimumCopies: 1},
		},
	}
}

// work runs a worker until the returned function is called.
func (w *world) work(t *testing.T, config repair.Config) func() {
	t.Helper()
	return w.workOn(t, w.store, config)
}

func (w *world) workOn(t *testing.T, store repair.Store, config repair.Config) func() {
	t.Helper()
	worker, err := repair.New(repair.Dependencies{
		Cluster: cluster(), Store: store, Turns: w.Coordinator, Copier: w.disks,
		Health: w.disks, Due: w.RepairDue(), Registerer: prometheus.NewRegistry(),
	}, zap.NewNop(), config)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- worker.Run(ctx) }()
	return func() {
		cancel()
		require.NoError(t, <-done)
	}
}

// repository makes a repository that is current on all disks, its primary a.
func (w *world) repository(t *testing.T, path string) coordinator.Repository {
	t.Helper()
	incarnation, _ := w.alone.Incarnation()
	id := coordinator.RepositoryID(rand.Int64N(1<<62) + 1)
	require.NoError(t, w.store.Create(t.Context(), coordinator.Creation{
		ID: id, Key: key(path), ReplicaPath: coordinator.ReplicaPath(id, path), Primary: "a",
		Participants: []coordinator.Storage{"a", "b", "c"},
		Assigned:     []coordinator.Storage{"a", "b", "c"}, Incarnation: incarnation,
	}))
	require.NoError(t, w.store.Complete(t.Context(), id))
	repository := w.load(t, path)
	<-time.After(time.Second)
	for _, storage := range []coordinator.Storage{"a", "b", "c"} {
		w.disks.apply(storage, repository.ReplicaPath, "refs/heads/main", 0)
	}
	return w.load(t, path)
}

func (w *world) load(t *testing.T, path string) coordinator.Repository {
	t.Helper()
	repository, err := w.store.Lookup(t.Context(), key(path))
	require.NoError(t, err)
	return repository
}

// push changes a reference on the disks of those who confirm; they must hold the primary first.
func (w *world) push(
	t *testing.T, path, reference string, value int, confirm ...transaction.Voter,
) {
	t.Helper()
	write, err := w.BeginWrite(t.Context(), key(path), coordinator.WriteOptions{})
	require.NoError(t, err)
	_, err = write.TakeTurn(t.Context())
	require.NoError(t, err)
	write.Committing()
	for _, voter := range confirm {
		w.disks.apply(coordinator.Storage(voter), write.Plan().ReplicaPath, reference, value)
	}
	require.NoError(t, write.Record(t.Context(), transaction.Record{
		Write: 1, Outcome: transaction.Kept, Raise: confirm, Primary: confirm[0],
	}))
	_, err = write.Finish(t.Context(), coordinator.Result{
		Votes: transaction.Summary{Prepared: true, Recorded: 1}, PrimaryOK: true,
	})
	require.NoError(t, err)
}

// current lists the storages that are recorded as current.
func (w *world) current(t *testing.T, path string) []coordinator.Storage {
	t.Helper()
	repository := w.load(t, path)
	var current []coordinator.Storage
	for _, replica := range repository.Replicas {
		if replica.Generation == repository.Generation {
			current = append(current, replica.Storage)
		}
	}
	return current
}

// requireEqual demands that all current replicas hold the same.
func (w *world) requireEqual(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, w.different(t.Context(), path))
}

// different compares all current replicas with the primary.
func (w *world) different(ctx context.Context, path string) error {
	repository, err := w.store.Lookup(ctx, key(path))
	if err != nil {
		return err
	}
	want := w.disks.get(repository.Primary, repository.ReplicaPath)
	for _, replica := range repository.Replicas {
		has := w.disks.get(replica.Storage, repository.ReplicaPath)
		if repository.Current(replica.Storage) && !maps.Equal(want, has) {
			return fmt.Errorf("generation %d: %q has %v, the primary %q has %v",
				repository.Generation, replica.Storage, has, repository.Primary, want)
		}
	}
	return nil
}
