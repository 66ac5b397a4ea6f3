package coordinator_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"praefect/coordinator"
	"praefect/coordinator/memory"
	"praefect/transaction"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	virtual = coordinator.VirtualStorage("default")
	path    = "group/project.git"
)

// key is the repository of most tests.
func key() coordinator.Key {
	return coordinator.Key{VirtualStorage: virtual, RelativePath: path}
}

// health is told by the test who is healthy; everybody is at first.
type health struct {
	mu   sync.Mutex // guards the field below
	sick map[coordinator.Storage]bool
}

func (h *health) Healthy(_ coordinator.VirtualStorage, storage coordinator.Storage) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.sick[storage]
}

func (h *health) set(sick ...coordinator.Storage) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sick = map[coordinator.Storage]bool{}
	for _, storage := range sick {
		h.sick[storage] = true
	}
}

// store counts what is asked of the metadata, and fails as it is told.
type store struct {
	coordinator.Store

	mu    sync.Mutex // guards the fields below
	calls map[string]int
	// outages makes so many records fail before they are applied, lost so many after.
	outages, lost int
	// unanswered makes so many creations fail after they are begun.
	unanswered int
	// forgets makes every record one that is in the tail that a failover loses.
	forgets bool
	// down makes every record, and the completion of creations, fail; away everything about turns,
	// and what a failover has lost.
	down, away bool
	// late keeps the opening of turns back until it is closed, answered or not.
	late    chan struct{}
	opening sync.WaitGroup
	// rigs are the processes on this store.
	rigs []*rig
}

func (s *store) count(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[call]++
}

// total is the number of calls since the last time it was asked.
func (s *store) total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := 0
	for _, count := range s.calls {
		total += count
	}
	s.calls = map[string]int{}
	return total
}

func (s *store) Lookup(
	ctx context.Context, key coordinator.Key,
) (coordinator.Repository, error) {
	s.count("lookup")
	return s.Store.Lookup(ctx, key)
}

// forget answers a record that is lost later on.
func (s *store) forget(
	ctx context.Context, outcome coordinator.WriteOutcome,
) (coordinator.Recorded, error) {
	recorded := coordinator.Recorded{Generation: outcome.Base + 1, Epoch: outcome.Epoch}
	if outcome.Primary != "" {
		recorded.Epoch++
	}
	_, err := s.CloseTurn(ctx, outcome.Repository, outcome.Write)
	return recorded, err
}

func (s *store) Load(
	ctx context.Context, id coordinator.RepositoryID,
) (coordinator.Repository, error) {
	s.count("load")
	return s.Store.Load(ctx, id)
}

func (s *store) Create(ctx context.Context, creation coordinator.Creation) error {
	s.count("create")
	if err := s.Store.Create(ctx, creation); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unanswered == 0 {
		return nil
	}
	s.unanswered--
	return coordinator.ErrMetadataUnavailable
}

func (s *store) OpenTurn(
	ctx context.Context, intent coordinator.Intent,
) (coordinator.Repository, error) {
	s.count("open")
	if s.isAway() {
		return coordinator.Repository{}, coordinator.ErrMetadataUnavailable
	}
	if late := s.lateness(); late != nil {
		select {
		case <-late:
		case <-ctx.Done():
			s.openLate(late, intent)
			return coordinator.Repository{}, coordinator.ErrMetadataUnavailable
		}
	}
	return s.Store.OpenTurn(ctx, intent)
}

func (s *store) lateness() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.late
}

// openLate carries a statement out of which nobody hears any more.
func (s *store) openLate(late chan struct{}, intent coordinator.Intent) {
	s.opening.Go(func() {
		<-late
		_, _ = s.Store.OpenTurn(context.Background(), intent)
	})
}

func (s *store) CloseTurn(
	ctx context.Context, id coordinator.RepositoryID, write coordinator.WriteID,
) (bool, error) {
	s.count("close")
	if s.isAway() {
		return false, coordinator.ErrMetadataUnavailable
	}
	return s.Store.CloseTurn(ctx, id, write)
}

func (s *store) MarkTurn(
	ctx context.Context, id coordinator.RepositoryID, write coordinator.WriteID,
	ended []coordinator.Storage,
) error {
	s.count("mark")
	if s.isAway() {
		return coordinator.ErrMetadataUnavailable
	}
	return s.Store.MarkTurn(ctx, id, write, ended)
}

func (s *store) Announce(
	ctx context.Context, announcement coordinator.Announcement,
) error {
	s.count("announce")
	if s.isAway() {
		return coordinator.ErrMetadataUnavailable
	}
	return s.Store.Announce(ctx, announcement)
}

func (s *store) Withdraw(ctx context.Context, withdrawal coordinator.Withdrawal) error {
	s.count("withdraw")
	if s.isAway() {
		return coordinator.ErrMetadataUnavailable
	}
	return s.Store.Withdraw(ctx, withdrawal)
}

func (s *store) isAway() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away
}

func (s *store) Restore(ctx context.Context, lost coordinator.Kept) (bool, error) {
	if s.isAway() {
		return false, coordinator.ErrMetadataUnavailable
	}
	return s.Store.Restore(ctx, lost)
}

func (s *store) Record(
	ctx context.Context, outcome coordinator.WriteOutcome,
) (coordinator.Recorded, error) {
	s.count("record")
	before, after := s.fault()
	if before {
		return coordinator.Recorded{}, coordinator.ErrMetadataUnavailable
	}
	if s.forgets {
		return s.forget(ctx, outcome)
	}
	recorded, err := s.Store.Record(ctx, outcome)
	if after {
		return coordinator.Recorded{}, coordinator.ErrMetadataUnavailable
	}
	return recorded, err
}

// fault says whether to fail before or after the record is applied.
func (s *store) fault() (bool, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.down:
		return true, false
	case s.outages > 0:
		s.outages--
		return true, false
	case s.lost > 0:
		s.lost--
		return false, true
	}
	return false, false
}

func (s *store) set(change func(*store)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// rig is a process: a coordinator over metadata in memory, and its membership, which the test
// plays.
type rig struct {
	*coordinator.Coordinator
	store  *store
	health *health
	// agreed is what all proxies find together.
	agreed *health

	mu          sync.Mutex // guards the fields below
	incarnation coordinator.Incarnation
	applied     coordinator.Sequence
	lost, deaf  bool

	noted   sync.Mutex // guards the field below
	entries []coordinator.Entry
}

// Incarnation implements [coordinator.Lease].
func (r *rig) Incarnation() (coordinator.Incarnation, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.incarnation, !r.lost
}

// AwaitAcknowledged implements [coordinator.Peers]: processes that are not deaf hear at once.
func (r *rig) AwaitAcknowledged(ctx context.Context, awaited coordinator.Sequence) error {
	incarnation, _ := r.Incarnation()
	for {
		for _, other := range r.store.rigs {
			if err := other.hear(ctx); err != nil {
				return err
			}
		}
		done, err := r.store.Acknowledged(ctx, incarnation, awaited)
		if done || err != nil {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// hear applies what others have invalidated.
func (r *rig) hear(ctx context.Context) error {
	r.mu.Lock()
	incarnation, applied, skip := r.incarnation, r.applied, r.lost || r.deaf
	r.mu.Unlock()
	if skip {
		return nil
	}
	news, err := r.store.Renew(ctx, coordinator.Renewal{
		Incarnation: incarnation, TTL: forever, Applied: applied,
	})
	if err != nil {
		return err
	}
	for _, one := range news.Invalidations {
		r.Invalidate(one.Key)
		applied = one.Sequence
	}
	r.mu.Lock()
	r.applied = applied
	r.mu.Unlock()
	return r.store.Acknowledge(ctx, coordinator.Acknowledgement{
		Incarnation: incarnation, Applied: applied,
	})
}

// die ends the incarnation for everybody else.
func (r *rig) die(t testing.TB) {
	t.Helper()
	incarnation, _ := r.Incarnation()
	require.NoError(t, r.store.Resign(t.Context(), incarnation))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = true
}

// live begins another incarnation of a process that lost its lease.
func (r *rig) live(t testing.TB) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.incarnation = coordinator.Incarnation(rand.Int64N(1<<62) + 1)
	r.lost = false
	var err error
	r.applied, err = r.store.Enlist(t.Context(), coordinator.Enlistment{
		Incarnation: r.incarnation, Name: "again", TTL: forever,
	})
	require.NoError(t, err)
}

// forever outlasts every test.
const forever = 1000 * time.Hour

// setup returns a coordinator of three storages, a, b and c, unless the cluster says otherwise.
func setup(
	t testing.TB, config coordinator.Config, changes ...func(*coordinator.VirtualStorageConfig),
) *rig {
	t.Helper()
	backing := &store{Store: memory.New(), calls: map[string]int{}}
	return setupOn(t, backing, config, changes...)
}

func setupOn(
	t testing.TB, backing *store, config coordinator.Config,
	changes ...func(*coordinator.VirtualStorageConfig),
) *rig {
	t.Helper()
	members := coordinator.VirtualStorageConfig{Storages: []coordinator.Storage{"a", "b", "c"}}
	for _, change := range changes {
		change(&members)
	}
	r := &rig{
		store: backing, health: &health{},
		incarnation: coordinator.Incarnation(rand.Int64N(1<<62) + 1),
	}
	r.agreed = r.health
	backing.rigs = append(backing.rigs, r)
	var err error
	r.applied, err = backing.Enlist(t.Context(), coordinator.Enlistment{
		Incarnation: r.incarnation, Name: strconv.Itoa(len(backing.rigs)), TTL: forever,
	})
	require.NoError(t, err)
	made, err := coordinator.New(coordinator.Dependencies{
		Cluster: coordinator.Cluster{
			VirtualStorages: map[coordinator.VirtualStorage]coordinator.VirtualStorageConfig{
				virtual: members,
			},
		},
		Store: backing, Health: r.health, Agreed: agreed{r}, Lease: r, Peers: r,
		Registerer: prometheus.NewRegistry(), Journal: r,
	}, zaptest.NewLogger(t), config)
	require.NoError(t, err)
	r.Coordinator = made
	return r
}

// agreed is what the proxies find together: by default what this one finds.
type agreed struct{ rig *rig }

func (a agreed) Healthy(
	virtualStorage coordinator.VirtualStorage, storage coordinator.Storage,
) bool {
	return a.rig.agreed.Healthy(virtualStorage, storage)
}

// repository makes a repository that is current everywhere, its primary a.
func (r *rig) repository(t testing.TB, path string) coordinator.RepositoryID {
	t.Helper()
	creation := coordinator.Creation{
		ID:  coordinator.RepositoryID(len(path) + 1000),
		Key: coordinator.Key{VirtualStorage: virtual, RelativePath: path}, Primary: "a",
		Participants: []coordinator.Storage{"a", "b", "c"},
		Assigned:     []coordinator.Storage{"a", "b", "c"},
		Incarnation:  r.incarnation,
	}
	creation.ReplicaPath = coordinator.ReplicaPath(creation.ID, path)
	require.NoError(t, r.store.Create(t.Context(), creation))
	require.NoError(t, r.store.Complete(t.Context(), creation.ID))
	r.store.total()
	return creation.ID
}

func (r *rig) load(t testing.TB) coordinator.Repository {
	t.Helper()
	found, err := r.store.Store.Lookup(t.Context(), key())
	require.NoError(t, err)
	return found
}

// current lists who holds every recorded write.
func (r *rig) current(t testing.TB) []coordinator.Storage {
	t.Helper()
	repository := r.load(t)
	var current []coordinator.Storage
	for _, replica := range repository.Replicas {
		if replica.Generation == repository.Generation {
			current = append(current, replica.Storage)
		}
	}
	return current
}

func (r *rig) write(t testing.TB, options coordinator.WriteOptions) *coordinator.Write {
	t.Helper()
	write, err := r.BeginWrite(t.Context(), key(), options)
	require.NoError(t, err)
	return write
}

// commit takes a write through its turn and records who confirmed it; the first stays or becomes
// the primary.
func commit(t testing.TB, write *coordinator.Write, raise ...transaction.Voter) {
	t.Helper()
	_, err := write.TakeTurn(t.Context())
	require.NoError(t, err)
	write.Committing()
	require.NoError(t, write.Record(t.Context(), kept(1, raise...)))
}

func kept(number uint64, raise ...transaction.Voter) transaction.Record {
	return transaction.Record{
		Write: number, Outcome: transaction.Kept, Raise: raise, Primary: raise[0],
	}
}

// success is the result of a call that recorded a write everywhere.
func success() coordinator.Result {
	return coordinator.Result{
		Votes:     transaction.Summary{Prepared: true, Recorded: 1},
		PrimaryOK: true, OK: []transaction.Voter{"a", "b", "c"},
	}
}

// finish ends a write and demands an outcome.
func finish(
	t testing.TB, write *coordinator.Write, result coordinator.Result, want coordinator.Outcome,
) {
	t.Helper()
	outcome, err := write.Finish(t.Context(), result)
	require.NoError(t, err)
	require.Equal(t, want, outcome)
}

// read asks where to read and ends the read at once.
func (r *rig) read(t testing.TB, options coordinator.ReadOptions) coordinator.Storage {
	t.Helper()
	route, err := r.Read(t.Context(), key(), options)
	require.NoError(t, err)
	route.Done()
	return route.Storage
}

// readers lists where many reads go.
func (r *rig) readers(t testing.TB) map[coordinator.Storage]bool {
	t.Helper()
	storages := map[coordinator.Storage]bool{}
	for range 60 {
		storages[r.read(t, coordinator.ReadOptions{})] = true
	}
	return storages
}
