package registry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/transaction"
)

const update = "synchronize update hook"

// blockTurn makes the turn unavailable until the returned function is called.
func blockTurn(b *bundle) (open func()) {
	free := make(chan struct{})
	b.writer.take = func(ctx context.Context) ([]transaction.Voter, error) {
		select {
		case <-free:
			return nil, nil
		case <-ctx.Done():
			if !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
				return nil, context.Cause(ctx)
			}
			return nil, errors.New("repository busy")
		}
	}
	return func() { close(free) }
}

func TestTurnWait(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		votes func(*bundle) []*pending
		want  time.Duration
	}{
		"before any lock": {
			func(b *bundle) []*pending { return b.all(syncing, update) }, 10 * time.Second,
		},
		"with locks": {
			func(b *bundle) []*pending { return b.all(prepared, "refs") }, 2 * time.Second,
		},
		"an older node locks after a while": {
			func(b *bundle) []*pending {
				first := b.vote("gitaly-1", preparing, "refs")
				pass(5 * time.Second)
				b.vote("gitaly-2", prepared, "refs")
				return []*pending{first}
			},
			7 * time.Second,
		},
		"an older node locks near the end": {
			func(b *bundle) []*pending {
				first := b.vote("gitaly-1", preparing, "refs")
				pass(9 * time.Second)
				b.vote("gitaly-2", prepared, "refs")
				return []*pending{first}
			},
			10 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := begin(t)
				blockTurn(b)
				votes := tc.votes(b)
				b.requireWaiting(votes...)
				<-votes[0].done
				require.Equal(t, tc.want, votes[0].took)
				synctest.Wait()
				b.require(abort, votes...)
				require.ErrorContains(t, b.live.Refused(), "repository busy")
				require.True(t, b.finish().Busy)
			})
		})
	}
}

func TestTurnIsTakenOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		open := blockTurn(b)
		votes := b.all(syncing, update)
		b.requireWaiting(votes...)
		require.Equal(t, []string{"take"}, b.writer.calls())
		open()
		synctest.Wait()
		b.require(commit, votes...)
		b.finish()
	})
}

func TestTurnIsYieldedToOthersOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		b.require(commit, b.all(syncing, update)...)
		b.require(commit, b.all(syncing, update)...)
		require.Equal(t, []string{"take"}, b.writer.calls(), "nobody waits for it")

		b.writer.mu.Lock()
		b.writer.contended = true
		b.writer.mu.Unlock()
		b.require(commit, b.all(syncing, update)...)
		require.Equal(t, []string{"take", "release", "take"}, b.writer.calls())
		b.finish()
	})
}

func TestLapsedVotersAreToldAbort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		b.writer.take = func(context.Context) ([]transaction.Voter, error) {
			return []transaction.Voter{"gitaly-3"}, nil
		}
		b.require(commit, b.all(preparing, "refs", "gitaly-1", "gitaly-2")...)
		b.require(abort, b.vote("gitaly-3", preparing, "refs"))
		require.False(t, b.finish().Voters[2].Current)
	})
}

func TestAbortEndsTheWaitForTheTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		blockTurn(b)
		begin := time.Now()
		votes := b.all(prepared, "refs")
		b.live.Abort()
		synctest.Wait()
		b.require(abort, votes...)
		summary := b.finish()
		require.Zero(t, time.Since(begin))
		require.True(t, summary.Aborted)
		require.False(t, summary.Busy)
		require.Equal(t, []string{"take"}, b.writer.calls())
	})
}

// TestTurnTakenInVainIsGivenBack forces the order: the wait is cancelled, and the turn is taken
// nevertheless.
func TestTurnTakenInVainIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		taken := make(chan struct{})
		b.writer.take = func(ctx context.Context) ([]transaction.Voter, error) {
			<-ctx.Done() // too late to stop
			<-taken
			return nil, nil
		}
		votes := b.all(prepared, "refs")
		b.live.Abort()
		synctest.Wait()
		b.require(abort, votes...)
		close(taken)
		b.finish()
		require.Equal(t, []string{"take", "release"}, b.writer.calls())
	})
}

func TestTurnIsKeptWhileLocksAreRemoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		b.all(preparing, "refs")
		b.vote("gitaly-1", prepared, "a")
		b.vote("gitaly-2", prepared, "b")
		b.vote("gitaly-3", prepared, "c")
		b.live.Ended("gitaly-1")
		synctest.Wait()
		require.NotContains(t, b.writer.calls(), "release")
		b.live.Ended("gitaly-2")
		b.live.Ended("gitaly-3")
		synctest.Wait()
		require.Contains(t, b.writer.calls(), "release")
		b.finish()
	})
}

func TestTurnIsNotKeptForASickSecondary(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		b.all(preparing, "refs")
		b.vote("gitaly-1", prepared, "a")
		b.vote("gitaly-2", prepared, "b")
		b.vote("gitaly-3", prepared, "c")
		b.live.Ended("gitaly-1")
		pass(500 * time.Millisecond)
		require.Contains(t, b.writer.calls(), "release")
		b.finish()
	})
}

func TestTurnOfACallWithoutWriteIsLeftToTheCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, func(c *transaction.Config) { c.Gate = transaction.GateHeld })
		for _, node := range []transaction.Voter{"gitaly-1", "gitaly-2", "gitaly-3"} {
			b.live.Ended(node)
		}
		require.False(t, b.finish().Prepared)
		require.Empty(t, b.writer.calls())
	})
}
