package registry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/transaction"
	"praefect/transaction/registry"
)

func TestWriteIsRecordedBeforeAnybodyIsReleased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		proceed := make(chan struct{})
		b.writer.record = func(context.Context, transaction.Record) error {
			<-proceed
			return nil
		}
		b.require(commit, b.all(prepared, "refs")...)
		votes := b.all(committed, "refs")
		b.requireWaiting(votes...)
		require.Equal(t, []string{"take", "committing", "record"}, b.writer.calls())

		close(proceed)
		synctest.Wait()
		b.require(commit, votes...)
		b.require(commit, b.all(committed, "zero")...)
		require.Equal(t, []transaction.Record{{
			Write: 1, Outcome: transaction.Kept, Primary: "gitaly-1",
			Raise: []transaction.Voter{"gitaly-1", "gitaly-2", "gitaly-3"},
		}}, b.writer.recorded())

		summary := b.finish()
		require.Equal(t, uint64(1), summary.Recorded)
		require.NoError(t, b.live.Err())
	})
}

func TestCommittingComesBeforeTheFirstCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		vote := b.vote("gitaly-1", prepared, "refs")
		b.requireWaiting(vote)
		require.NotContains(t, b.writer.calls(), "committing")
		b.vote("gitaly-2", prepared, "refs")
		b.require(commit, vote)
		require.Equal(t, []string{"take", "committing"}, b.writer.calls())
		b.finish()
	})
}

func TestRecordOutlivesTheVotes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		proceed := make(chan struct{})
		var seen error
		b.writer.record = func(ctx context.Context, _ transaction.Record) error {
			<-proceed
			seen = ctx.Err()
			return nil
		}
		b.all(prepared, "refs")
		ctx, cancel := context.WithCancel(t.Context())
		var votes []*pending
		for _, node := range []string{"gitaly-1", "gitaly-2", "gitaly-3"} {
			votes = append(votes, b.voteCtx(ctx, request(b.live, node, committed, "refs")))
		}
		cancel()
		synctest.Wait()
		for _, vote := range votes {
			require.ErrorContains(t, vote.err, "context canceled")
		}
		close(proceed)
		summary := b.finish()
		require.NoError(t, seen)
		require.Equal(t, uint64(1), summary.Recorded)
		require.Equal(t, transaction.Confirmed, summary.Voters[0].Evidence)
	})
}

func TestRecordOutlivesTheCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newRegistry(t, registry.Config{})
		var seen []error
		b.writer.record = func(ctx context.Context, _ transaction.Record) error {
			seen = append(seen, ctx.Err())
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		live, err := b.registry.Begin(ctx, registry.Options{
			Voting: transaction.Config{Primary: "gitaly-1", MinimumCopies: 1}, Writer: b.writer,
		})
		require.NoError(t, err)
		b.live = live
		cancel()
		b.require(commit, b.vote("gitaly-1", prepared, "refs"))
		b.require(commit, b.vote("gitaly-1", committed, "refs"))
		b.finish()
		require.Equal(t, []error{nil}, seen)
	})
}

func TestRecordIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		b.writer.record = func(ctx context.Context, _ transaction.Record) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}
		b.all(prepared, "refs")
		votes := b.all(committed, "refs")
		pass(30 * time.Second)
		b.require(abort, votes...)
		require.ErrorIs(t, b.live.Err(), context.DeadlineExceeded)
		b.finish()
	})
}

func TestFailedRecordBreaksTheCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		lost := errors.New("lost lease")
		b.writer.record = func(context.Context, transaction.Record) error { return lost }
		b.all(prepared, "refs")
		require.NoError(t, b.live.Err())
		votes := b.all(committed, "refs")
		b.require(abort, votes...)
		<-b.live.Broken()
		require.ErrorIs(t, b.live.Err(), registry.ErrOutcomeUnknown)
		require.ErrorIs(t, b.live.Err(), lost)
		b.require(abort, b.all(syncing, "synchronize post-receive hook")...)

		summary := b.finish()
		require.True(t, summary.Failed)
		require.NotContains(t, b.writer.calls(), "release")
		require.InEpsilon(t, 1,
			b.value("gitaly_praefect_transaction_records_total", "result", "failed"), 0)
	})
}

func TestTooFewCopiesBreakTheCallBeforeTheRelease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		b.all(prepared, "refs")
		vote := b.vote("gitaly-1", committed, "refs")
		b.live.Lost("gitaly-2")
		b.requireWaiting(vote)
		b.live.Lost("gitaly-3")
		<-vote.done
		select {
		case <-b.live.Broken():
		default:
			require.Fail(t, "released before the call was broken")
		}
		require.ErrorIs(t, b.live.Err(), registry.ErrTooFewCopies)
		b.require(commit, vote)
		require.True(t, b.finish().BelowMinimum)
	})
}

func TestDoubtfulWriteBreaksTheCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		b.all(prepared, "refs")
		for _, node := range []transaction.Voter{"gitaly-1", "gitaly-2", "gitaly-3"} {
			b.live.Lost(node)
		}
		<-b.live.Broken()
		require.ErrorIs(t, b.live.Err(), registry.ErrOutcomeUnknown)
		require.Equal(t, uint64(1), b.finish().Doubtful)
	})
}

func TestLateConfirmation(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		taken  bool
		err    error
		want   string
		logged int
	}{
		"taken back": {taken: true, want: "taken_back"},
		"too late":   {want: "too_late"},
		"failed":     {taken: true, err: errors.New("no database"), want: "failed", logged: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := begin(t)
				var asked []any
				b.writer.confirm = func(
					_ context.Context, write uint64, voter transaction.Voter,
				) (bool, error) {
					asked = append(asked, write, voter)
					return tc.taken, tc.err
				}
				b.all(prepared, "refs")
				votes := b.all(committed, "refs", "gitaly-1", "gitaly-2")
				pass(time.Second)
				b.require(commit, votes...)
				vote := b.vote("gitaly-3", committed, "refs")
				if tc.taken && tc.err == nil {
					b.require(commit, vote)
				} else {
					b.require(abort, vote)
				}
				summary := b.finish()
				require.Equal(t, []any{uint64(1), transaction.Voter("gitaly-3")}, asked)
				require.Equal(t, tc.taken && tc.err == nil, summary.Voters[2].Current)
				require.InEpsilon(t, 1,
					b.value("gitaly_praefect_late_confirmations_total", "result", tc.want), 0)
				require.Equal(t, tc.logged, b.logs.FilterMessageSnippet("late").Len())
			})
		})
	}
}

func TestSettled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		proceed := make(chan struct{})
		b.writer.record = func(context.Context, transaction.Record) error {
			<-proceed
			return nil
		}
		settled := func() bool {
			synctest.Wait()
			select {
			case <-b.live.Settled():
				return true
			default:
				return false
			}
		}
		b.all(prepared, "refs")
		b.all(committed, "refs")
		require.False(t, settled(), "the primary runs")
		b.live.Ended("gitaly-1")
		require.False(t, settled(), "the record is under way")
		close(proceed)
		require.True(t, settled(), "secondaries do not matter")
		b.finish()
	})
}
