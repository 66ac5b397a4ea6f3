package membership_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

// pollsBound is more often than the store is asked while a lease lasts.
const pollsBound = 200

// startBeside runs a worker beside another proxy, whose incarnation is 1, until it has its lease.
func startBeside(t *testing.T) (*ledger, *rig) {
	t.Helper()
	store := newLedger()
	store.with(1, nil)
	r := start(t, store)
	<-r.Enlisted()
	return store, r
}

// TestAwait waits for another proxy.
func TestAwait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, r := startBeside(t)
		last := store.invalidate("a", "b")
		done := make(chan error, 1)
		go func() { done <- r.AwaitAcknowledged(t.Context(), last) }()
		after(time.Second)
		require.Empty(t, done)
		polls := store.count("acknowledged")
		require.Greater(t, polls, 12)
		require.Less(t, polls, 35, "they become rarer")
		store.change(func() { store.members[1].applied = last - 1 })
		after(time.Second)
		require.Empty(t, done)
		store.change(func() { store.members[1].applied = last })
		after(200 * time.Millisecond)
		require.NoError(t, <-done)
		r.stop()
	})
}

// TestAwaitGone waits for a proxy until its lease has run out for others.
func TestAwaitGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, r := startBeside(t)
		store.change(func() { store.members[1].end = time.Now().Add(lease + margin) })
		begin := time.Now()
		require.NoError(t, r.AwaitAcknowledged(t.Context(), store.invalidate("a")))
		require.InDelta(t, lease+margin, time.Since(begin), float64(200*time.Millisecond))
		r.stop()
	})
}

// TestAwaitLost ends with the own lease, at once when somebody finds that it is lost.
func TestAwaitLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		store.with(1, nil)
		r := prepare(t, store)
		require.ErrorIs(t, r.AwaitAcknowledged(t.Context(), 1), coordinator.ErrLeaseLost)
		r.run()
		<-r.Enlisted()
		last := store.invalidate("a")
		done := make(chan error, 1)
		go func() { done <- r.AwaitAcknowledged(t.Context(), last) }()
		synctest.Wait()
		r.wall.Add(int64(lease))
		r.notHolding()
		synctest.Wait()
		require.Len(t, done, 1)
		require.ErrorIs(t, <-done, coordinator.ErrLeaseLost)
		after(lease)
		r.holding()

		go func() { done <- r.AwaitAcknowledged(t.Context(), last) }()
		synctest.Wait()
		r.wall.Add(int64(lease))
		after(200 * time.Millisecond)
		require.ErrorIs(t, <-done, coordinator.ErrLeaseLost, "it looks at the clocks itself")
		r.stop()
	})
}

// TestAwaitStopping waits in a process that stops while it still applies what others have changed:
// its lease goes on until its time is over, and the store is not asked without a pause meanwhile.
func TestAwaitStopping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, r := startBeside(t)
		applying := make(chan struct{})
		r.set(func() { r.block = applying })
		last := store.invalidate("a")
		after(period)
		require.Contains(t, r.saw(), "a")
		r.cancel()
		r.holding()

		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		store.change(func() {
			store.before = func(string) {
				if store.count("acknowledged") > pollsBound {
					cancel()
				}
			}
		})
		require.ErrorIs(t, r.AwaitAcknowledged(ctx, last), coordinator.ErrLeaseLost)
		r.notHolding()
		require.Positive(t, store.count("acknowledged"))
		close(applying)
		require.NoError(t, <-r.done)
	})
}

// TestAwaitEnds with its context, however the store fares.
func TestAwaitEnds(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]bool{"store there": false, "store away": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store, r := startBeside(t)
				store.change(func() { store.away = away })
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				begin := time.Now()
				err := r.AwaitAcknowledged(ctx, store.invalidate("a"))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, time.Second, time.Since(begin))
				if away {
					require.ErrorIs(t, err, errAway)
				}
				store.change(func() { store.away = false })
				r.stop()
			})
		})
	}
}

// TestAwaitAway waits the store out.
func TestAwaitAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		r := start(t, store)
		<-r.Enlisted()
		store.change(func() { store.away = true })
		done := make(chan error, 1)
		go func() { done <- r.AwaitAcknowledged(t.Context(), 1) }()
		after(3 * time.Second)
		require.Empty(t, done)
		store.change(func() { store.away = false })
		require.NoError(t, <-done)
		r.stop()
	})
}
