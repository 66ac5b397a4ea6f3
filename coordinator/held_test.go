package coordinator_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/transaction"
)

// listen lets notices of the store arrive until the returned function is called.
func (r *rig) listen(t *testing.T) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.store.Listen(ctx, r.Notify) }()
	return func() {
		cancel()
		require.NoError(t, <-done)
	}
}

// TestTurnExcludesProcesses has two processes at one repository: the second waits, in the line of
// its own process, until the first has given the turn back.
func TestTurnExcludesProcesses(t *testing.T) {
	t.Parallel()
	for name, notices := range map[string]bool{"with notices": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := setup(t, coordinator.Config{})
				other := setupOn(t, r.store, coordinator.Config{})
				r.repository(t, path)
				if notices {
					defer r.listen(t)()
					defer other.listen(t)()
					synctest.Wait()
				}
				holder, waiter := r.held(t), other.write(t, coordinator.WriteOptions{})
				require.False(t, holder.Contended())

				taken := make(chan error)
				go func() {
					_, err := waiter.TakeTurn(t.Context())
					taken <- err
				}()
				<-time.After(time.Second)
				require.Equal(t, notices, holder.Contended(), "the holder hears that it is wanted")
				begin := time.Now()
				require.NoError(t, holder.Record(t.Context(), kept(1, "a", "b", "c")))
				require.NoError(t, <-taken)
				if notices {
					require.Zero(t, time.Since(begin), "nobody polls for it")
				}
				require.LessOrEqual(t, time.Since(begin), 30*time.Millisecond)
				require.NoError(t, waiter.Record(t.Context(), kept(1, "a", "b", "c")))
				finish(t, holder, success(), coordinator.OutcomeRecorded)
				finish(t, waiter, success(), coordinator.OutcomeRecorded)
				require.Equal(t, coordinator.Generation(2), r.load(t).Generation)
			})
		})
	}
}

// TestTurnYields has a process with a long line of its own, and one writer elsewhere: that one does
// not wait for the whole line.
func TestTurnYields(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, coordinator.Config{})
		other := setupOn(t, r.store, coordinator.Config{})
		r.repository(t, path)
		const each = 50
		done := make(chan time.Duration, each+1)
		work := func(r *rig) {
			write := r.write(t, coordinator.WriteOptions{})
			begin := time.Now()
			_, err := write.TakeTurn(t.Context())
			require.NoError(t, err)
			<-time.After(10 * time.Millisecond)
			require.NoError(t, write.Record(t.Context(), kept(1, "a", "b", "c")))
			finish(t, write, success(), coordinator.OutcomeRecorded)
			done <- time.Since(begin)
		}
		for range each {
			go work(r)
		}
		synctest.Wait()
		begin := time.Now()
		work(other)
		require.Less(t, time.Since(begin), 100*time.Millisecond)
		for range each + 1 {
			<-done
		}
		require.Equal(t, coordinator.Generation(each+1), r.load(t).Generation)
	})
}

// TestTurnYieldedBetween has a call that takes the turn again and again, and a writer elsewhere.
func TestTurnYieldedBetween(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, coordinator.Config{})
		other := setupOn(t, r.store, coordinator.Config{})
		r.repository(t, path)
		defer r.listen(t)()
		defer other.listen(t)()
		synctest.Wait()
		push, small := r.taken(t), other.write(t, coordinator.WriteOptions{})
		taken := make(chan error, 1)
		go func() {
			_, err := small.TakeTurn(t.Context())
			taken <- err
		}()
		synctest.Wait()
		require.True(t, push.Contended())
		push.ReleaseTurn(t.Context())
		ended := make(chan error, 1)
		go func() {
			err := <-taken
			_, unfinished := small.Finish(t.Context(), coordinator.Result{})
			ended <- errors.Join(err, unfinished)
		}()
		_, err := push.TakeTurn(t.Context())
		require.NoError(t, err)
		require.NoError(t, <-ended)
		synctest.Wait()
		require.False(t, push.Contended(), "the other one had its turn in between")
		finish(t, push, coordinator.Result{}, coordinator.OutcomeNone)
	})
}

// TestTurnLeft has nodes that were told to commit and of which none has confirmed: git may have
// given up, or the votes were lost. Whatever the primary answers, recovery has to look.
func TestTurnLeft(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		primaryOK bool
		want      error
	}{
		"the primary says that it is there": {true, coordinator.ErrOutcomeUnknown},
		"the primary fails":                 {false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t, coordinator.Config{})
			r.repository(t, path)
			write := r.held(t)
			write.ReleaseTurn(t.Context())
			outcome, err := write.Finish(t.Context(), coordinator.Result{
				Votes:     transaction.Summary{Prepared: true, Dropped: 1, Verify: true},
				PrimaryOK: tc.primaryOK,
			})
			require.ErrorIs(t, err, tc.want)
			require.Equal(t, coordinator.OutcomeUnknown, outcome)
			require.Len(t, r.adopt(t), 1)
			require.Len(t, r.readers(t), 3, "no commit window is left open")
		})
	}
}

// TestTurnWaitsForRecovery has a process die that holds the turn.
func TestTurnWaitsForRecovery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, coordinator.Config{})
		dead := setupOn(t, r.store, coordinator.Config{})
		id := r.repository(t, path)
		dead.held(t)
		dead.die(t)

		write := r.write(t, coordinator.WriteOptions{})
		bounded, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := write.TakeTurn(bounded)
		require.ErrorIs(t, err, coordinator.ErrBusy, "nobody may decide but recovery")
		adopted := r.adopt(t)
		require.Len(t, adopted, 1)
		_, err = r.store.Resolve(t.Context(), coordinator.Resolution{
			Repository: id, Write: adopted[0].Write, Owner: r.incarnation,
			Number: adopted[0].Number, Epoch: adopted[0].Snapshot.Epoch,
			Base: adopted[0].Snapshot.Generation,
			Keep: []coordinator.Storage{"a", "b"}, Primary: "a",
		})
		require.NoError(t, err)

		lapsed, err := write.TakeTurn(t.Context())
		require.NoError(t, err, "a new epoch with the same primary is none of its concern")
		require.Equal(t, []transaction.Voter{"c"}, lapsed)
		require.NoError(t, write.Record(t.Context(), kept(1, "a", "b")))
		finish(t, write, success(), coordinator.OutcomeRecorded)
		require.Equal(t, []coordinator.Storage{"a", "b"}, r.current(t))
		require.Equal(t, coordinator.Generation(2), r.load(t).Generation)
	})
}

// TestTurnClosedLater has a database that does not answer when a turn is given back: the next one
// begins with that.
func TestTurnClosedLater(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]bool{"beside the calls": true, "by the next turn": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := setup(t, coordinator.Config{})
				r.repository(t, path)
				write := r.taken(t)
				r.store.set(func(s *store) { s.away = true })
				write.ReleaseTurn(t.Context())
				finish(t, write, coordinator.Result{}, coordinator.OutcomeNone)
				require.True(t, r.load(t).TurnHeld)
				r.store.set(func(s *store) { s.away = false })
				if run {
					defer r.run(t)()
					<-time.After(time.Second)
					require.False(t, r.load(t).TurnHeld)
				}
				next := r.taken(t)
				finish(t, next, coordinator.Result{}, coordinator.OutcomeNone)
				require.False(t, r.load(t).TurnHeld)
			})
		})
	}
}

// TestTurnGivenUp has a database that is slow to open a turn that nobody wants any more when it is
// open, or that opens it when it was given up and closed. No turn stays that nobody holds.
func TestTurnGivenUp(t *testing.T) {
	t.Parallel()
	for name, delay := range map[string]time.Duration{
		"answered": time.Second, "not answered": 30 * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := setup(t, coordinator.Config{})
				r.repository(t, path)
				defer r.run(t)()
				late := make(chan struct{})
				r.store.set(func(s *store) { s.late = late })
				write := r.write(t, coordinator.WriteOptions{})

				waiting, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				go func() {
					<-time.After(delay)
					r.store.set(func(s *store) { s.late = nil })
					close(late)
				}()
				_, err := write.TakeTurn(waiting)
				require.Error(t, err)
				require.Equal(t, name == "answered", errors.Is(err, coordinator.ErrBusy), "%v", err)
				finish(t, write, coordinator.Result{}, coordinator.OutcomeNone)
				<-late
				r.store.opening.Wait()
				<-time.After(3 * time.Second)
				require.False(t, r.load(t).TurnHeld)
			})
		})
	}
}

// TestLead has a primary that this process alone cannot reach.
func TestLead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		meanwhile func(t *testing.T, r *rig)
		want      error
		waits     time.Duration
	}{
		"others can": {
			func(*testing.T, *rig) {}, coordinator.ErrPrimaryUnreachable, 3 * time.Second,
		},
		"it comes back": {
			func(_ *testing.T, r *rig) { r.health.set() }, nil, time.Second,
		},
		"all agree that it is lost": {
			func(_ *testing.T, r *rig) { r.agreed.set("a") }, nil, time.Second,
		},
		"another finds another primary": {
			func(t *testing.T, r *rig) {
				t.Helper()
				other := setupOn(t, r.store, coordinator.Config{})
				other.health.set("a")
				_, err := other.Read(t.Context(), key(), coordinator.ReadOptions{PrimaryOnly: true})
				assert.NoError(t, err)
				assert.NoError(t, r.hear(t.Context()))
			}, nil, time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := setup(t, coordinator.Config{})
				r.agreed = &health{}
				r.repository(t, path)
				r.health.set("a")
				go func() {
					<-time.After(time.Second)
					tc.meanwhile(t, r)
				}()
				begin := time.Now()
				_, err := r.Read(t.Context(), key(), coordinator.ReadOptions{PrimaryOnly: true})
				require.ErrorIs(t, err, tc.want)
				require.InDelta(t, tc.waits, time.Since(begin), float64(100*time.Millisecond))
				synctest.Wait()
			})
		})
	}
}

// TestOverran has the replicas compared that a process may have let commit too late.
func TestOverran(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, coordinator.Config{NodeDeadline: time.Minute})
		id := r.repository(t, path)
		write := r.taken(t)
		require.NoError(t, write.Overran(t.Context()))
		finish(t, write, coordinator.Result{}, coordinator.OutcomeNone)
		due := func() []coordinator.Verification {
			found, err := r.store.ClaimVerifications(t.Context(), 10, time.Hour)
			require.NoError(t, err)
			return found
		}
		require.Empty(t, due())
		<-time.After(time.Minute)
		found := due()
		require.Len(t, found, 1)
		require.True(t, found[0].Doubtful)

		commit(t, r.write(t, coordinator.WriteOptions{}), "a", "b", "c")
		require.NoError(t, r.store.Verified(t.Context(), found[0]))
		r.TailLost(t.Context())
		found = due()
		require.Len(t, found, 1, "what was written to lately is compared")
		require.Equal(t, id, found[0].Repository.ID)
		require.True(t, found[0].Doubtful)
	})
}

// TestTailLost has a failover that loses the record of a write which the primary missed: the
// rows that are left call everybody current, and the one without it primary.
func TestTailLost(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]time.Duration{"at once": 0, "away again": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { loseTail(t, away) })
		})
	}
}

// loseTail has the store away for a time when it is to be put in order.
func loseTail(t *testing.T, away time.Duration) {
	t.Helper()
	r := setup(t, coordinator.Config{})
	id := r.repository(t, path)
	before, err := r.store.Load(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, coordinator.Storage("a"), before.Primary)

	r.store.forgets = true
	commit(t, r.write(t, coordinator.WriteOptions{}), "b", "c")
	r.store.forgets = false
	r.store.set(func(s *store) { s.away = away > 0 })
	go func() {
		<-time.After(away)
		r.store.set(func(s *store) { s.away = false })
	}()
	r.TailLost(t.Context())

	after, err := r.store.Load(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, before.Generation+1, after.Generation)
	require.Equal(t, coordinator.Storage("b"), after.Primary)
	require.Equal(t, before.Generation, after.Replicas[0].Generation, "it missed the write")
	for _, replica := range after.Replicas[1:] {
		require.Equal(t, after.Generation, replica.Generation)
	}

	r.TailLost(t.Context())
	again, err := r.store.Load(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, after, again, "what is there is not written again")
}
