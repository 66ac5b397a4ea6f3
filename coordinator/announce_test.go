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

// fetching are the options of a call that prunes without a vote.
func fetching() coordinator.WriteOptions {
	return coordinator.WriteOptions{Turn: transaction.GatePrepared, Verify: true}
}

// compared claims the comparisons that are due.
func (r *rig) compared(t *testing.T) []coordinator.Verification {
	t.Helper()
	found, err := r.store.ClaimVerifications(t.Context(), 10, time.Nanosecond)
	require.NoError(t, err)
	return found
}

// requireDoubt demands that a comparison is due in which nobody is known to be right.
func (r *rig) requireDoubt(t *testing.T) {
	t.Helper()
	found := r.compared(t)
	require.Len(t, found, 1)
	require.True(t, found[0].Doubtful)
}

// adopted says of how many repositories a proxy has died in the middle of a call.
func (r *rig) adopted(t *testing.T) int {
	t.Helper()
	count, err := r.store.AdoptAnnouncements(t.Context(), 10, time.Minute)
	require.NoError(t, err)
	return count
}

// TestFetchOfDeadProxy has a process die when its nodes have begun to prune: nothing was voted on
// and no turn taken, and still others find out.
func TestFetchOfDeadProxy(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	r.write(t, fetching())
	require.Zero(t, r.adopted(t))
	r.die(t)
	require.Equal(t, 1, r.adopted(t))
	r.requireDoubt(t)
}

// deleting are the options of a push that may delete references beside others that it changes.
func deleting() coordinator.WriteOptions {
	return coordinator.WriteOptions{
		Kind: "references", DeletesBeside: func() bool { return true },
	}
}

// TestDeletionsOfDeadProxy has a process die when its nodes may have deleted a reference without a
// vote, and the turn under which they did so was given back to others that waited, or has ended
// with the record of the next reference: still others find out.
func TestDeletionsOfDeadProxy(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]func(*testing.T, *coordinator.Write){
		"turn given back": func(t *testing.T, write *coordinator.Write) {
			t.Helper()
			write.ReleaseTurn(t.Context())
		},
		"next recorded": func(t *testing.T, write *coordinator.Write) {
			t.Helper()
			write.Committing()
			require.NoError(t, write.Record(t.Context(), kept(1, "a", "b", "c")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t, coordinator.Config{})
			r.repository(t, path)
			write := r.write(t, deleting())
			_, err := write.TakeTurn(t.Context())
			require.NoError(t, err)
			next(t, write)
			require.Zero(t, r.adopted(t), "it lives")
			r.die(t)
			require.Equal(t, 1, r.adopted(t))
			r.requireDoubt(t)
		})
	}
}

// TestDeletionsAnnounceOnce takes the turn several times, and ends: nothing is left.
func TestDeletionsAnnounceOnce(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	write := r.write(t, deleting())
	for range 3 {
		_, err := write.TakeTurn(t.Context())
		require.NoError(t, err)
		write.ReleaseTurn(t.Context())
	}
	r.store.set(func(s *store) { require.Equal(t, 1, s.calls["announce"]) })
	commit(t, write, "a", "b", "c")
	finish(t, write, success(), coordinator.OutcomeRecorded)
	require.Empty(t, r.compared(t), "all that was deleted was voted on")
	r.die(t)
	require.Zero(t, r.adopted(t))
}

// TestDeletionsAnnouncedAgain has the lease end between two turns of a push, so that others end its
// announcement, and the process die after the second: still others find out.
func TestDeletionsAnnouncedAgain(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	write := r.write(t, deleting())
	_, err := write.TakeTurn(t.Context())
	require.NoError(t, err)
	write.ReleaseTurn(t.Context())
	r.die(t)
	require.Equal(t, 1, r.adopted(t))
	r.requireDoubt(t)

	r.live(t)
	_, err = write.TakeTurn(t.Context())
	require.NoError(t, err)
	write.ReleaseTurn(t.Context())
	require.Zero(t, r.adopted(t), "it lives again")
	r.die(t)
	require.Equal(t, 1, r.adopted(t))
	r.requireDoubt(t)
}

// TestDeletionsAnnouncedLate has a write end while it is about to announce its deletions.
func TestDeletionsAnnouncedLate(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	options := deleting()
	var write *coordinator.Write
	options.DeletesBeside = func() bool {
		finish(t, write, coordinator.Result{Idle: true}, coordinator.OutcomeNone)
		return true
	}
	write = r.write(t, options)
	_, err := write.TakeTurn(t.Context())
	require.ErrorIs(t, err, context.Canceled)
	r.die(t)
	require.Zero(t, r.adopted(t))
}

// TestDeletionsWithoutStore has the store away in front of the first turn: it does not come.
func TestDeletionsWithoutStore(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	write := r.write(t, deleting())
	r.store.set(func(s *store) { s.away = true })
	_, err := write.TakeTurn(t.Context())
	require.ErrorIs(t, err, coordinator.ErrMetadataUnavailable)
	r.store.set(func(s *store) {
		require.Zero(t, s.calls["open"])
		s.away = false
	})
	finish(t, write, coordinator.Result{Idle: true}, coordinator.OutcomeNone)
}

// TestFetchEnds has fetches that end in all ways while the store is there: each leaves a
// comparison, in doubt unless the primary has done it, and no announcement.
func TestFetchEnds(t *testing.T) {
	t.Parallel()
	all := []transaction.Voter{"a", "b", "c"}
	for name, tc := range map[string]struct {
		result   coordinator.Result
		want     coordinator.Outcome
		doubtful bool
	}{
		"voted": {success(), coordinator.OutcomeRecorded, false},
		"pruned": {
			coordinator.Result{PrimaryOK: true, OK: all}, coordinator.OutcomeRecorded, false,
		},
		"failed everywhere": {coordinator.Result{}, coordinator.OutcomeUnknown, true},
		"failed on the primary": {
			coordinator.Result{OK: all[1:]}, coordinator.OutcomeUnknown, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t, coordinator.Config{})
			r.repository(t, path)
			write := r.write(t, fetching())
			if tc.result.Votes.Recorded > 0 {
				commit(t, write, all...)
			}
			finish(t, write, tc.result, tc.want)
			due := r.compared(t)
			require.Len(t, due, 1)
			require.Equal(t, tc.doubtful, due[0].Doubtful)
			r.die(t)
			require.Zero(t, r.adopted(t))
		})
	}
}

// TestFetchNotSent ends before any node was asked.
func TestFetchNotSent(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	finish(t, r.write(t, fetching()), coordinator.Result{Idle: true}, coordinator.OutcomeNone)
	require.Empty(t, r.compared(t))
	r.die(t)
	require.Zero(t, r.adopted(t))
}

// TestFetchWithoutStore has the store away when a fetch begins: nothing is sent.
func TestFetchWithoutStore(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	r.read(t, coordinator.ReadOptions{})
	r.store.set(func(s *store) { s.away = true })
	_, err := r.BeginWrite(t.Context(), key(), fetching())
	require.ErrorIs(t, err, coordinator.ErrMetadataUnavailable)
	r.store.set(func(s *store) { s.away = false })

	r.die(t)
	_, err = r.BeginWrite(t.Context(), key(), fetching())
	require.ErrorIs(t, err, coordinator.ErrLeaseLost)
}

// TestFinishWithoutStore has the store away when calls end of which the replicas must be compared,
// and then back: it is asked for then. Or the process dies before it is back.
func TestFinishWithoutStore(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options  coordinator.WriteOptions
		result   coordinator.Result
		unknown  bool
		doubtful bool
	}{
		"prune": {
			options: fetching(), unknown: true, doubtful: true,
			result: coordinator.Result{
				PrimaryOK: true, OK: []transaction.Voter{"a"}, Running: []transaction.Voter{"b"},
			},
		},
		"lost round": {
			result: coordinator.Result{
				Votes: transaction.Summary{Prepared: true, LostRounds: 1, Verify: true},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := setup(t, coordinator.Config{})
				r.repository(t, path)
				write := r.write(t, tc.options)
				r.store.set(func(s *store) { s.away = true })
				_, err := write.Finish(t.Context(), tc.result)
				require.Equal(t, tc.unknown, err != nil)
				require.Empty(t, r.compared(t))

				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- r.Run(ctx) }()
				<-time.After(10 * time.Second)
				r.store.set(func(s *store) { s.away = false })
				<-time.After(10 * time.Second)
				due := r.compared(t)
				require.Len(t, due, 1)
				require.Equal(t, tc.doubtful, due[0].Doubtful)
				cancel()
				require.NoError(t, <-ended)
				r.die(t)
				require.Zero(t, r.adopted(t), "nothing is left of the announcement")
			})
		})
	}
}

// TestFinishWithoutStoreAndDead has the process die before it could say how a fetch ended.
func TestFinishWithoutStoreAndDead(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{TurnWait: time.Second, RecordTimeout: time.Second})
	r.repository(t, path)
	write := r.write(t, fetching())
	r.store.set(func(s *store) { s.away = true })
	_, err := write.Finish(t.Context(), coordinator.Result{PrimaryOK: true})
	require.ErrorIs(t, err, coordinator.ErrOutcomeUnknown)
	r.store.set(func(s *store) { s.away = false })
	r.die(t)
	require.Equal(t, 1, r.adopted(t))
	r.requireDoubt(t)
}
