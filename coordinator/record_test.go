package coordinator_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/transaction"
)

// taken is a write that holds its turn, held one that is being committed.
func (r *rig) taken(t *testing.T) *coordinator.Write {
	t.Helper()
	write := r.write(t, coordinator.WriteOptions{})
	_, err := write.TakeTurn(t.Context())
	require.NoError(t, err)
	return write
}

func (r *rig) held(t *testing.T) *coordinator.Write {
	t.Helper()
	write := r.taken(t)
	write.Committing()
	return write
}

// run lets the coordinator's own duties go on until the returned function is called.
func (r *rig) run(t *testing.T) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	return func() {
		cancel()
		require.NoError(t, <-done)
	}
}

// TestRecordRepeats has a database that fails for a while, before or after it applied the record.
func TestRecordRepeats(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*store){
		"before": func(s *store) { s.outages = 3 },
		"after":  func(s *store) { s.lost = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := setup(t, coordinator.Config{})
				r.repository(t, path)
				write := r.held(t)
				r.store.set(change)
				left, cancel := context.WithCancel(t.Context())
				cancel()
				require.NoError(t, write.Record(left, kept(1, "a", "b")),
					"it is recorded also when its caller has left")
				require.Equal(t, coordinator.Generation(1), r.load(t).Generation)
				require.Equal(t, storages{"a": true, "b": true}, r.readers(t))
				finish(t, write, success(), coordinator.OutcomeRecorded)
			})
		})
	}
}

// TestRecordUnknown has a database that is away for long: nobody builds on the write until recovery
// has looked at the replicas, which it is told of as soon as the database answers.
func TestRecordUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, coordinator.Config{})
		r.repository(t, path)
		stop := r.run(t)
		defer stop()
		write := r.held(t)
		r.store.set(func(s *store) { s.down, s.away = true, true })
		begin := time.Now()
		err := write.Record(t.Context(), kept(1, "a", "b"))
		require.ErrorIs(t, err, coordinator.ErrOutcomeUnknown)
		require.ErrorIs(t, err, coordinator.ErrMetadataUnavailable)
		require.LessOrEqual(t, time.Since(begin), 10*time.Second)
		require.Empty(t, r.adopt(t), "it is not known to be left")

		write.ReleaseTurn(t.Context())
		outcome, err := write.Finish(t.Context(), coordinator.Result{
			Votes: transaction.Summary{Prepared: true, Failed: true},
			OK:    []transaction.Voter{"a", "b"}, Running: []transaction.Voter{"b"},
			Lost: []transaction.Voter{"c"},
		})
		require.ErrorIs(t, err, coordinator.ErrOutcomeUnknown)
		require.Equal(t, coordinator.OutcomeUnknown, outcome)
		next := r.write(t, coordinator.WriteOptions{})
		_, err = next.TakeTurn(t.Context())
		require.ErrorIs(t, err, coordinator.ErrMetadataUnavailable)

		r.store.set(func(s *store) { s.down, s.away = false, false })
		bounded, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = next.TakeTurn(bounded)
		require.ErrorIs(t, err, coordinator.ErrBusy, "nothing builds on it")
		adopted := r.adopt(t)
		require.Len(t, adopted, 1)
		require.Equal(t, []coordinator.Storage{"a"}, adopted[0].Ended)
		require.Equal(t, []coordinator.Storage{"a", "b", "c"}, adopted[0].Participants)
		finish(t, next, coordinator.Result{}, coordinator.OutcomeNone)
	})
}

func (r *rig) adopt(t *testing.T) []coordinator.Adoption {
	t.Helper()
	incarnation, _ := r.Incarnation()
	adopted, err := r.store.AdoptTurns(t.Context(), incarnation, 10)
	require.NoError(t, err)
	return adopted
}

// TestRecordAdopted has a process frozen between the turn and the record: it was adopted meanwhile
// and must not record any more, nor let anybody commit.
func TestRecordAdopted(t *testing.T) {
	t.Parallel()
	for name, knows := range map[string]bool{"and knows it": true, "and believes it lives": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t, coordinator.Config{})
			r.repository(t, path)
			frozen := setupOn(t, r.store, coordinator.Config{})
			write := frozen.held(t)
			require.True(t, write.Leased())
			frozen.die(t)
			require.False(t, write.Leased())
			frozen.mu.Lock()
			frozen.lost = knows
			frozen.mu.Unlock()
			require.Len(t, r.adopt(t), 1)

			err := write.Record(t.Context(), kept(1, "a", "b", "c"))
			require.ErrorIs(t, err, coordinator.ErrOutcomeUnknown)
			_, err = write.Finish(t.Context(), coordinator.Result{
				Votes: transaction.Summary{Prepared: true, Failed: true},
			})
			require.ErrorIs(t, err, coordinator.ErrOutcomeUnknown)
			require.Equal(t, coordinator.Generation(0), r.load(t).Generation)
			require.True(t, r.load(t).TurnHeld, "it is the adopter's now")
		})
	}
}

// TestRecordAwaitsOthers has another process that still reads from the replica that a record leaves
// behind: the client is not answered before that one knows.
func TestRecordAwaitsOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, coordinator.Config{})
		r.repository(t, path)
		other := setupOn(t, r.store, coordinator.Config{})
		require.Len(t, other.readers(t), 3)
		other.mu.Lock()
		other.deaf = true
		other.mu.Unlock()

		write := r.held(t)
		require.NoError(t, write.Record(t.Context(), kept(1, "a", "b")))
		answered := make(chan struct{}, 2)
		answer := func(write *coordinator.Write) {
			finish(t, write, success(), coordinator.OutcomeRecorded)
			answered <- struct{}{}
		}
		go answer(write)
		// A second write leaves nobody behind, and is not answered either.
		second := r.held(t)
		require.NoError(t, second.Record(t.Context(), kept(1, "a", "b")))
		go answer(second)
		<-time.After(time.Second)
		require.Empty(t, answered, "another process reads the state before")
		other.mu.Lock()
		other.deaf = false
		other.mu.Unlock()
		<-answered
		<-answered
		require.Equal(t, storages{"a": true, "b": true}, other.readers(t))
	})
}

// TestRecordOutlastsOthers has another process that never answers: its lease has run out after a
// known time.
func TestRecordOutlastsOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, coordinator.Config{})
		r.repository(t, path)
		setupOn(t, r.store, coordinator.Config{}).deaf = true
		write := r.held(t)
		require.NoError(t, write.Record(t.Context(), kept(1, "a", "b")))
		begin := time.Now()
		finish(t, write, success(), coordinator.OutcomeRecorded)
		require.Equal(t, 7*time.Second, time.Since(begin))
	})
}

// TestRecordReplacesPrimary has a primary that did not confirm.
func TestRecordReplacesPrimary(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	require.Len(t, r.readers(t), 3)
	write := r.held(t)
	require.NoError(t, write.Record(t.Context(), kept(1, "c", "b")))
	require.Equal(t, coordinator.Storage("c"),
		r.read(t, coordinator.ReadOptions{PrimaryOnly: true}))
	repository := r.load(t)
	require.Equal(t, coordinator.Storage("c"), repository.Primary)
	require.Equal(t, coordinator.Epoch(2), repository.Epoch)
	finish(t, write, success(), coordinator.OutcomeRecorded)
	select {
	case <-r.RepairDue():
	default:
		require.Fail(t, "the repair worker is not told")
	}
}

// TestRecordSeveral has a call with several writes: each takes the turn anew and finds its base.
func TestRecordSeveral(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	write := r.write(t, coordinator.WriteOptions{})
	for number := range uint64(3) {
		_, err := write.TakeTurn(t.Context())
		require.NoError(t, err)
		write.Committing()
		require.NoError(t, write.Record(t.Context(), kept(number+1, "a", "b", "c")))
		require.ErrorIs(t, write.Record(t.Context(), kept(number+1, "a", "b", "c")),
			coordinator.ErrNoTurn, "the record gave the turn back")

		between := r.write(t, coordinator.WriteOptions{})
		commit(t, between, "a", "b", "c")
		finish(t, between, success(), coordinator.OutcomeRecorded)
	}
	finish(t, write, success(), coordinator.OutcomeRecorded)
	require.Equal(t, coordinator.Generation(6), r.load(t).Generation)
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	write := r.held(t)
	confirm := func(number uint64, voter transaction.Voter) bool {
		taken, err := write.Confirm(t.Context(), number, voter)
		require.NoError(t, err)
		return taken
	}
	require.False(t, confirm(1, "c"), "nothing is recorded yet")
	require.NoError(t, write.Record(t.Context(), kept(1, "a", "b")))
	require.False(t, confirm(2, "c"))
	require.True(t, confirm(1, "c"))
	require.False(t, confirm(1, "c"))
	require.Equal(t, storages{"a": true, "b": true, "c": true}, r.readers(t))

	again := r.held(t)
	require.NoError(t, again.Record(t.Context(), kept(1, "a", "b")))
	require.False(t, confirm(1, "c"), "it missed a write since")
	finish(t, write, success(), coordinator.OutcomeRecorded)
	finish(t, again, success(), coordinator.OutcomeRecorded)
}
