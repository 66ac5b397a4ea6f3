package registry_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/transaction"
)

func TestFinishAnswersEverybody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		votes := b.all(prepared, "refs", "gitaly-2", "gitaly-3")
		b.requireWaiting(votes...)
		require.InEpsilon(t, 1, b.value("gitaly_praefect_transactions_live"), 0)
		b.finish()
		b.require(abort, votes...)
		require.Zero(t, b.value("gitaly_praefect_transactions_live"))

		late := b.vote("gitaly-1", prepared, "refs")
		require.Equal(t, codes.NotFound, status.Code(late.err))
	})
}

func TestFinishWaitsForTheRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		proceed := make(chan struct{})
		b.writer.record = func(context.Context, transaction.Record) error {
			<-proceed
			return nil
		}
		b.all(prepared, "refs")
		votes := b.all(committed, "refs")

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		summary, err := b.live.Finish(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.True(t, summary.Unfinished)
		b.answers.Wait()
		b.require(abort, votes...)
		require.InEpsilon(t, 1, b.value("gitaly_praefect_transactions_live"), 0, "still known")

		close(proceed)
		summary = b.finish()
		require.False(t, summary.Unfinished)
		require.Equal(t, uint64(1), summary.Recorded)
		require.Equal(t, summary, b.finish(), "again")
		require.Zero(t, b.value("gitaly_praefect_transactions_live"))
	})
}

// TestFinishEndsTheGrace checks that nobody waits for a timer once all voters are gone.
func TestFinishEndsTheGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		b.all(prepared, "refs")
		begin := time.Now()
		votes := b.all(committed, "refs", "gitaly-1", "gitaly-2")
		summary := b.finish()
		require.Zero(t, time.Since(begin))
		require.Equal(t, uint64(1), summary.Recorded)
		require.Equal(t, transaction.Uncertain, summary.Voters[2].Evidence)
		b.require(abort, votes...)
	})
}

// TestFinishWithAWriteOpen ends the call after each number of confirmations: every write gets its
// record.
func TestFinishWithAWriteOpen(t *testing.T) {
	t.Parallel()
	for _, confirmed := range [][]string{
		{},
		{"gitaly-1"},
		{"gitaly-2"},
		{"gitaly-2", "gitaly-3"},
		{"gitaly-1", "gitaly-2", "gitaly-3"},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := begin(t)
			b.all(prepared, "refs")
			if len(confirmed) > 0 {
				b.all(committed, "refs", confirmed...)
			}
			summary := b.finish()
			require.Len(t, b.writer.recorded(), 1, "%v", confirmed)
			require.False(t, summary.Unfinished)
			require.Equal(t, len(confirmed) < 2, b.live.Err() != nil, "%v", confirmed)
		})
	}
}

func TestSummaryBeforeTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		b.all(prepared, "refs")
		summary := b.live.Summary()
		require.True(t, summary.Unfinished)
		require.True(t, summary.Voters[0].Running)
		b.finish()
	})
}
