package postgres_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/coordinator/postgres"
	"praefect/test/pgtest"
)

const other = coordinator.Incarnation(2)

// scene is a repository on a store, and a second connection that gets in between.
type scene struct {
	config postgres.Config
	store  *postgres.Store
	id     coordinator.RepositoryID
	// beside holds a transaction open; watch looks at what the server does.
	beside, watch *pgx.Conn
	held          pgx.Tx
}

func newScene(t *testing.T) *scene {
	t.Helper()
	config := pgtest.Migrated(t)
	s := &scene{config: config, store: open(t, config), id: creation("a.git").ID}
	s.beside = connect(t, pgtest.Server(t).DSN(config.DBName))
	s.watch = connect(t, pgtest.Server(t).DSN(config.DBName))
	enlist(t, s.store)
	require.NoError(t, s.store.Create(t.Context(), creation("a.git")))
	require.NoError(t, s.store.Complete(t.Context(), s.id))
	var err error
	s.held, err = s.beside.Begin(t.Context())
	require.NoError(t, err)
	return s
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close(t.Context()) })
	return connection
}

// hold does something in the transaction that is held open.
func (s *scene) hold(t *testing.T, text string, parameters ...any) {
	t.Helper()
	_, err := s.held.Exec(t.Context(), text, parameters...)
	require.NoError(t, err)
}

// during starts a call, waits until the server lets it wait for the open transaction, commits that
// and returns the error of the call.
func (s *scene) during(t *testing.T, call func() error, meanwhile func()) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- call() }()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var waiting int
		require.NoError(c, s.watch.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting))
		require.Equal(c, 1, waiting)
	}, 10*time.Second, 10*time.Millisecond)
	meanwhile()
	require.NoError(t, s.held.Commit(t.Context()))
	return <-done
}

func (s *scene) turn(write coordinator.WriteID) coordinator.Intent {
	return coordinator.Intent{
		Write: write, Repository: s.id, Incarnation: self, Kind: "references",
		Participants: []coordinator.Storage{"a", "b", "c"},
	}
}

func (s *scene) open(t *testing.T, write coordinator.WriteID) {
	t.Helper()
	_, err := s.store.OpenTurn(t.Context(), s.turn(write))
	require.NoError(t, err)
}

func (s *scene) load(t *testing.T) coordinator.Repository {
	t.Helper()
	repository, err := s.store.Load(t.Context(), s.id)
	require.NoError(t, err)
	return repository
}

func (s *scene) outcome(
	write coordinator.WriteID, raise ...coordinator.Storage,
) coordinator.WriteOutcome {
	return coordinator.WriteOutcome{Repository: s.id, Write: write, Epoch: 1, Raise: raise}
}

// TestTurnAfterRecord takes a turn while a record is about to end: the base is what that one left
// and not what was there when the wait began.
func TestTurnAfterRecord(t *testing.T) {
	t.Parallel()
	for name, record := range map[string][]string{
		"intent first": {
			"DELETE FROM praefect.write_intents",
			"UPDATE praefect.replicas SET generation = 1",
			"UPDATE praefect.repositories SET generation = 1",
		},
		"repository first": {
			"UPDATE praefect.repositories SET generation = 1",
			"UPDATE praefect.replicas SET generation = 1",
			"DELETE FROM praefect.write_intents",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.open(t, 1)
			for _, statement := range record {
				s.hold(t, statement)
			}
			var opened coordinator.Repository
			err := s.during(t, func() error {
				var err error
				opened, err = s.store.OpenTurn(t.Context(), s.turn(2))
				return err
			}, func() {})
			require.NoError(t, err)
			require.Equal(t, coordinator.Generation(1), opened.Generation)
			for _, replica := range opened.Replicas {
				require.Equal(t, coordinator.Generation(1), replica.Generation)
			}
			require.True(t, opened.TurnHeld)
		})
	}
}

// TestTurnAfterClose waits for the intent alone.
func TestTurnAfterClose(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.open(t, 1)
	s.hold(t, "DELETE FROM praefect.write_intents")
	require.NoError(t, s.during(t, func() error {
		_, err := s.store.OpenTurn(t.Context(), s.turn(2))
		return err
	}, func() {}))
}

// TestTurnAfterDeletion leaves no intent on a repository that is not there any more.
func TestTurnAfterDeletion(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.open(t, 1)
	s.hold(t, "UPDATE praefect.repositories SET state = 'deleting', work_due_at = now()")
	s.hold(t, "DELETE FROM praefect.write_intents")
	require.ErrorIs(t, s.during(t, func() error {
		_, err := s.store.OpenTurn(t.Context(), s.turn(2))
		return err
	}, func() {}), coordinator.ErrRepositoryNotFound)
	require.False(t, s.load(t).TurnHeld)
}

// TestRecordAfterMark has a turn left to recovery in the moment of its record: the intent decides.
func TestRecordAfterMark(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.open(t, 1)
	before := s.load(t)
	s.hold(t, "UPDATE praefect.write_intents SET marked = true")
	require.ErrorIs(t, s.during(t, func() error {
		_, err := s.store.Record(t.Context(), s.outcome(1, "a", "b"))
		return err
	}, func() {}), coordinator.ErrSuperseded)
	require.Equal(t, before, s.load(t), "nothing of the record is there")
}

// TestRecordAfterAdoption is the same with somebody who has adopted the turn already.
func TestRecordAfterAdoption(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.open(t, 1)
	s.hold(t, "UPDATE praefect.repositories SET epoch = 2")
	s.hold(t, "UPDATE praefect.write_intents SET adopter = 2, adoption = 1")
	require.ErrorIs(t, s.during(t, func() error {
		_, err := s.store.Record(t.Context(), s.outcome(1, "a", "b", "c"))
		return err
	}, func() {}), coordinator.ErrSuperseded)
	require.Equal(t, coordinator.Generation(0), s.load(t).Generation)
}

// TestHastenDuringRecord moves repairs while a record is about to change the same replicas: it
// waits before it has locked any of them, as the record may lock them in another order.
func TestHastenDuringRecord(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.open(t, 1)
	_, err := s.store.Record(t.Context(), s.outcome(1, "a"))
	require.NoError(t, err)
	s.hold(t, "SELECT FROM praefect.repositories FOR NO KEY UPDATE")
	require.NoError(t, s.during(t, func() error {
		return s.store.HastenRepair(t.Context(), s.id, map[coordinator.Storage]time.Duration{
			"b": 0, "c": 0,
		})
	}, func() {
		_, err := s.watch.Exec(t.Context(),
			"SELECT FROM praefect.replicas FOR UPDATE NOWAIT")
		require.NoError(t, err)
	}))
}

// TestRecordDuringEnlistment has a proxy begin while a record waits to number its invalidation. The
// proxy may have loaded what was before the record, so it is awaited.
func TestRecordDuringEnlistment(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.open(t, 1)
	s.hold(t, "SELECT FROM praefect.invalidation_counter FOR UPDATE")
	var recorded coordinator.Recorded
	require.NoError(t, s.during(t, func() error {
		var err error
		recorded, err = s.store.Record(t.Context(), s.outcome(1, "a", "b"))
		return err
	}, func() {
		s.hold(t, `INSERT INTO praefect.proxies (incarnation, name, lease_ends_at, applied)
			VALUES (2, 'other', now() + interval '1 hour', 0)`)
	}))
	require.Equal(t, coordinator.Sequence(1), recorded.Await)
}

// TestEnlistDuringInvalidation begins a proxy while an invalidation is numbered and not visible: it
// must not load anything before that is.
func TestEnlistDuringInvalidation(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.hold(t, "UPDATE praefect.invalidation_counter SET last = 1")
	var last coordinator.Sequence
	require.NoError(t, s.during(t, func() error {
		var err error
		last, err = s.store.Enlist(t.Context(), coordinator.Enlistment{
			Incarnation: other, Name: "other", TTL: time.Hour,
		})
		return err
	}, func() {}))
	require.Equal(t, coordinator.Sequence(1), last)
}

// TestRenewAfterEnd has a renewal wait for the statement that ends its incarnation.
func TestRenewAfterEnd(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.hold(t, "UPDATE praefect.proxies SET lease_ends_at = now()")
	require.ErrorIs(t, s.during(t, func() error {
		_, err := s.store.Renew(t.Context(), coordinator.Renewal{
			Incarnation: self, TTL: time.Hour,
		})
		return err
	}, func() {}), coordinator.ErrLeaseLost)
}

// freezer is a process that freezes in front of the end of its next transaction.
type freezer struct {
	tracer

	once         sync.Once
	frozen, thaw chan struct{}
}

func (f *freezer) TraceQueryStart(
	ctx context.Context, connection *pgx.Conn, data pgx.TraceQueryStartData,
) context.Context {
	if data.SQL == "commit" {
		f.once.Do(func() {
			close(f.frozen)
			<-f.thaw
		})
	}
	return f.tracer.TraceQueryStart(ctx, connection, data)
}

// TestFrozenResolution has a process freeze in the middle of a decision, which locks the
// repository: it is free again soon, and the decision not made. This takes five seconds.
func TestFrozenResolution(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.open(t, 1)
	frozen := &freezer{frozen: make(chan struct{}), thaw: make(chan struct{})}
	config := s.config
	config.Tracer = frozen
	freezing := open(t, config)
	thaw := sync.OnceFunc(func() { close(frozen.thaw) })
	t.Cleanup(thaw)
	done := make(chan error, 1)
	go func() {
		_, err := freezing.Resolve(t.Context(), coordinator.Resolution{
			Repository: s.id, Write: 1, Owner: self, Epoch: 1, Primary: "a",
			Keep: []coordinator.Storage{"a", "b", "c"},
		})
		done <- err
	}()
	<-frozen.frozen
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := s.store.OpenTurn(t.Context(), s.turn(2))
		require.ErrorIs(c, err, coordinator.ErrTurnTaken)
	}, time.Minute, 10*time.Millisecond)
	thaw()
	require.ErrorIs(t, <-done, coordinator.ErrMetadataUnavailable)
	require.Equal(t, coordinator.Generation(0), s.load(t).Generation)
}

// TestAdoptionPassesOver does not wait for a repository that somebody is changing.
func TestAdoptionPassesOver(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.open(t, 1)
	require.NoError(t, s.store.MarkTurn(t.Context(), s.id, 1, nil))
	s.hold(t, "SELECT FROM praefect.repositories FOR NO KEY UPDATE")
	adopted, err := s.store.AdoptTurns(t.Context(), self, 10)
	require.NoError(t, err)
	require.Empty(t, adopted)
	require.NoError(t, s.held.Commit(t.Context()))
	adopted, err = s.store.AdoptTurns(t.Context(), self, 10)
	require.NoError(t, err)
	require.Len(t, adopted, 1)
}

// TestAdoptionOfTheAdopted finds a turn that somebody else has adopted in the same moment.
func TestAdoptionOfTheAdopted(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.open(t, 1)
	require.NoError(t, s.store.MarkTurn(t.Context(), s.id, 1, nil))
	_, err := s.store.Enlist(t.Context(), coordinator.Enlistment{
		Incarnation: other, Name: "other", TTL: time.Hour,
	})
	require.NoError(t, err)
	s.hold(t, "UPDATE praefect.write_intents SET adopter = 2, adoption = 1")
	require.NoError(t, s.during(t, func() error {
		adopted, err := s.store.AdoptTurns(t.Context(), self, 10)
		require.Empty(t, adopted)
		return err
	}, func() {}))
	require.Equal(t, coordinator.Epoch(1), s.load(t).Epoch)
	adopted, err := s.store.AdoptTurns(t.Context(), other, 10)
	require.NoError(t, err)
	require.Len(t, adopted, 1)
	require.Equal(t, int64(1), adopted[0].Number)
}

// TestRemovedDuringClaim has a repair claimed by a statement that began before its repository was
// deleted, and that ends while the removal does: the repository is not forgotten.
func TestRemovedDuringClaim(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.open(t, 1)
	_, err := s.store.Delete(t.Context(), coordinator.Deletion{Repository: s.id, Write: 1})
	require.NoError(t, err)
	s.hold(t, `UPDATE praefect.replicas SET claim_id = 7, claim_ends_at = now() + interval '1 hour'
		WHERE storage = 'c'`)
	require.NoError(t, s.during(t, func() error {
		return s.store.Removed(t.Context(), s.id, []coordinator.Storage{"a", "b", "c"})
	}, func() {}))
	left := s.load(t).Replicas
	require.Len(t, left, 1)
	require.Equal(t, coordinator.Storage("c"), left[0].Storage)
	require.True(t, left[0].Repairing)
}
