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

// held is a write that holds its turn and is being committed.
func (r *rig) held(t *testing.T) *coordinator.Write {
	t.Helper()
	write := r.write(t, coordinator.WriteOptions{})
	_, err := write.TakeTurn(t.Context())
	require.NoError(t, err)
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

// TestRecordUnknown has a database that is away for long: the turn and the commit window stay until
// it has answered.
func TestRecordUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, coordinator.Config{})
		r.repository(t, path)
		stop := r.run(t)
		defer stop()
		write := r.held(t)
		r.store.set(func(s *store) { s.down = true })
		begin := time.Now()
		err := write.Record(t.Context(), kept(1, "a", "b"))
		require.ErrorIs(t, err, coordinator.ErrOutcomeUnknown)
		require.ErrorIs(t, err, coordinator.ErrMetadataUnavailable)
		require.LessOrEqual(t, time.Since(begin), 10*time.Second)

		write.ReleaseTurn(t.Context())
		outcome, err := write.Finish(t.Context(), coordinator.Result{
			Votes: transaction.Summary{Prepared: true, Failed: true},
		})
		require.ErrorIs(t, err, coordinator.ErrOutcomeUnknown)
		require.Equal(t, coordinator.OutcomeUnknown, outcome)
		require.Equal(t, storages{"a": true}, r.readers(t), "the primary is read meanwhile")

		next := r.write(t, coordinator.WriteOptions{})
		bounded, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = next.TakeTurn(bounded)
		require.ErrorIs(t, err, coordinator.ErrBusy, "nothing builds on it")

		r.store.set(func(s *store) { s.down = false })
		_, err = next.TakeTurn(t.Context())
		require.NoError(t, err)
		require.Equal(t, []coordinator.Storage{"a", "b"}, r.current(t))
		require.Equal(t, storages{"a": true, "b": true}, r.readers(t))
		finish(t, next, coordinator.Result{}, coordinator.OutcomeNone)
	})
}

// TestRecordSuperseded has another process record between the turn and the record.
func TestRecordSuperseded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, coordinator.Config{})
		r.repository(t, path)
		stop := r.run(t)
		defer stop()
		write := r.held(t)
		other := setupOn(t, r.store, coordinator.Config{})
		overtaking := other.write(t, coordinator.WriteOptions{})
		commit(t, overtaking, "a", "b", "c")
		finish(t, overtaking, success(), coordinator.OutcomeRecorded)

		err := write.Record(t.Context(), kept(1, "a", "b", "c"))
		require.ErrorIs(t, err, coordinator.ErrOutcomeUnknown)
		require.ErrorIs(t, err, coordinator.ErrSuperseded)
		_, err = write.Finish(t.Context(), coordinator.Result{
			Votes: transaction.Summary{Prepared: true, Failed: true},
		})
		require.ErrorIs(t, err, coordinator.ErrOutcomeUnknown)
		next := r.write(t, coordinator.WriteOptions{})
		_, err = next.TakeTurn(t.Context())
		require.NoError(t, err, "the turn comes back once the refusal is known")
		finish(t, next, coordinator.Result{}, coordinator.OutcomeNone)
	})
}

// TestRecordReplacesPrimary has a primary that did not confirm.
func TestRecordReplacesPrimary(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{RouteAge: time.Hour})
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
	r := setup(t, coordinator.Config{RouteAge: time.Hour})
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
