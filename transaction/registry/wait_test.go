package registry_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/transaction"
	"praefect/transaction/registry"
)

func TestOverdueSecondaryIsEjected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, func(c *transaction.Config) { c.MinimumCopies = 3 })
		begin := time.Now()
		votes := b.all(prepared, "refs", "gitaly-1", "gitaly-2")
		require.Equal(t, transaction.Voter("gitaly-3"), <-b.live.Overdue())
		require.Equal(t, 30*time.Second, time.Since(begin))
		synctest.Wait()
		b.require(abort, votes...)
		require.Equal(t, 1, b.logs.FilterMessageSnippet("ejected").Len())
		b.finish()
	})
}

// TestEachVoterHasItsOwnTime checks that the one timer for all voters is set anew for the next.
func TestEachVoterHasItsOwnTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		begin := time.Now()
		b.vote("gitaly-1", syncing, "x")
		pass(10 * time.Second)
		b.vote("gitaly-2", syncing, "x")
		b.vote("gitaly-1", syncing, "x")
		require.Equal(t, transaction.Voter("gitaly-3"), <-b.live.Overdue())
		require.Equal(t, 30*time.Second, time.Since(begin))
		require.Equal(t, transaction.Voter("gitaly-2"), <-b.live.Overdue())
		require.Equal(t, 40*time.Second, time.Since(begin))
		b.finish()
	})
}

func TestVoterThatMovesIsNotEjected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		for range 5 {
			b.require(commit, b.all(syncing, "x", "gitaly-1", "gitaly-2")...)
		}
		for range 5 { // 100 s behind in the end, but never 30 s without a vote
			pass(20 * time.Second)
			b.require(commit, b.vote("gitaly-3", syncing, "x"))
		}
		select {
		case voter := <-b.live.Overdue():
			require.Fail(t, "ejected", "%s", voter)
		default:
		}
		b.finish()
	})
}

func TestPrimaryInItsFirstHookIsNotEjected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		hook := "synchronize pre-receive hook"
		votes := b.all(syncing, hook, "gitaly-2", "gitaly-3")
		pass(time.Hour)
		b.requireWaiting(votes...)
		b.require(commit, append(votes, b.vote("gitaly-1", syncing, hook))...)
		b.finish()
	})
}

func TestSilentPrimaryIsEjected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, func(c *transaction.Config) { c.MinimumCopies = 3 })
		b.all(prepared, "refs")
		begin := time.Now()
		b.all(committed, "refs", "gitaly-2", "gitaly-3")
		require.Equal(t, transaction.Voter("gitaly-1"), <-b.live.Overdue())
		require.Equal(t, 30*time.Second, time.Since(begin))
		<-b.live.Broken()
		require.ErrorIs(t, b.live.Err(), registry.ErrTooFewCopies)
		b.finish()
	})
}

// TestSilenceAfterCommitIsBounded has the primary and a secondary hang when they were told to
// commit: neither waits for the other, and still the third is not kept for ever.
func TestSilenceAfterCommitIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		b.require(commit, b.all(prepared, "refs")...)
		begin := time.Now()
		b.vote("gitaly-3", committed, "refs")
		overdue := []transaction.Voter{<-b.live.Overdue(), <-b.live.Overdue()}
		require.ElementsMatch(t, []transaction.Voter{"gitaly-1", "gitaly-2"}, overdue)
		require.Equal(t, 30*time.Second, time.Since(begin))
		<-b.live.Broken()
		require.ErrorIs(t, b.live.Err(), registry.ErrTooFewCopies)
		b.finish()
	})
}

// TestGraceFollowsTheNodes checks that the wait for a straggler is twice what it usually needs.
func TestGraceFollowsTheNodes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newRegistry(t, registry.Config{})
		wait := func(lag time.Duration) time.Duration {
			b.live = b.another()
			defer b.finish()
			b.all(prepared, "refs")
			begin := time.Now()
			votes := b.all(committed, "refs", "gitaly-1", "gitaly-2")
			if lag >= 0 {
				pass(lag)
				votes = append(votes, b.vote("gitaly-3", committed, "refs"))
			} else {
				<-votes[0].done
			}
			synctest.Wait()
			b.require(commit, votes[:2]...)
			return time.Since(begin)
		}
		require.Equal(t, 200*time.Millisecond, wait(-1), "nothing is known of the node")
		for range 60 {
			require.Equal(t, 40*time.Millisecond, wait(40*time.Millisecond))
		}
		require.InDelta(t, 80*time.Millisecond, wait(-1), float64(2*time.Millisecond))
		for range 60 {
			wait(0)
		}
		require.Equal(t, 50*time.Millisecond, wait(-1), "never less")
		for range 60 {
			wait(10 * time.Second) // long after the record
		}
		require.InDelta(t, 500*time.Millisecond, wait(-1), float64(2*time.Millisecond), "nor more")
	})
}

// TestLagIsMeasuredWithinAWrite checks that the grace of one write is not the measure of the next.
func TestLagIsMeasuredWithinAWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newRegistry(t, registry.Config{})
		for range 60 {
			b.live = b.another()
			for _, word := range []string{"first", "second"} {
				b.require(commit, b.all(prepared, word)...)
				b.require(commit, b.all(committed, word)...)
				pass(time.Second)
			}
			b.finish()
		}
		b.live = b.another()
		b.all(prepared, "refs")
		votes := b.all(committed, "refs", "gitaly-1", "gitaly-3")
		<-votes[0].done
		require.Equal(t, 50*time.Millisecond, votes[0].took)
		b.finish()
	})
}

func TestGraceForThePrimaryIsTheGreatest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		b.all(prepared, "refs")
		votes := b.all(committed, "refs", "gitaly-2", "gitaly-3")
		<-votes[0].done
		require.Equal(t, 500*time.Millisecond, votes[0].took)
		require.Equal(t, transaction.Voter("gitaly-2"), b.writer.recorded()[0].Primary)
		b.finish()
	})
}

func TestCancelledVoteClosesItsVoter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		lost := b.voteCtx(ctx, request(b.live, "gitaly-2", prepared, "refs"))
		pass(time.Second)
		require.ErrorContains(t, lost.err, "context deadline exceeded")
		b.require(abort, b.vote("gitaly-2", prepared, "refs"))
		b.require(commit, b.all(prepared, "refs", "gitaly-1", "gitaly-3")...)
		b.finish()
	})
}

// TestDecisionBeatsTheEndOfTheCall forces the order: the call ends while its vote is being decided.
func TestDecisionBeatsTheEndOfTheCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		ctx, cancel := context.WithCancel(t.Context())
		b.writer.committing = cancel // called while the decision is under way
		vote := b.voteCtx(ctx, request(b.live, "gitaly-1", prepared, "refs"))
		b.require(commit, b.vote("gitaly-2", prepared, "refs"), vote)
		require.Equal(t, transaction.Uncertain, b.live.Summary().Voters[0].Evidence)
		require.True(t, b.live.Summary().Voters[0].Running)
		b.finish()
	})
}

func TestRepeatedVoteJoinsTheFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		ctx, cancel := context.WithCancel(t.Context())
		first := b.voteCtx(ctx, request(b.live, "gitaly-2", prepared, "refs"))
		second := b.vote("gitaly-2", prepared, "refs")
		b.requireWaiting(first, second)
		cancel()
		synctest.Wait()
		require.ErrorContains(t, first.err, "context canceled")
		b.requireWaiting(second)
		b.require(commit, b.vote("gitaly-1", prepared, "refs"), second)

		other := b.vote("gitaly-3", committed, "refs")
		b.require(abort, other)
		b.finish()
	})
}

func TestMayHoldLocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		b.all(syncing, update)
		require.False(t, b.live.MayHoldLocks("gitaly-1"))
		b.vote("gitaly-1", preparing, "refs")
		require.True(t, b.live.MayHoldLocks("gitaly-1"))
		require.False(t, b.live.MayHoldLocks("gitaly-2"))
		b.vote("gitaly-2", prepared, "refs")
		require.True(t, b.live.MayHoldLocks("gitaly-2"))
		b.live.Lost("gitaly-2")
		require.True(t, b.live.MayHoldLocks("gitaly-2"), "its call has not ended")
		b.live.Ended("gitaly-2")
		require.False(t, b.live.MayHoldLocks("gitaly-2"))
		require.False(t, b.live.MayHoldLocks("stranger"))
		b.finish()

		b.live = b.another(func(c *transaction.Config) { c.Gate = transaction.GateHeld })
		require.True(t, b.live.MayHoldLocks("gitaly-1"), "it locks before it votes")
		b.finish()
	})
}
