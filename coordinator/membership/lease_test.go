package membership_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/coordinator/membership"
)

// TestKept takes a lease and keeps it.
func TestKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		r := prepare(t, store)
		incarnation, holds := r.Incarnation()
		require.False(t, holds)
		require.Zero(t, incarnation)
		r.run()
		<-r.Enlisted()
		incarnation = r.holding()
		for range 100 {
			after(period)
			require.Equal(t, incarnation, r.holding())
			require.Equal(t, []coordinator.Incarnation{incarnation}, store.living())
		}
		require.InDelta(t, 100, store.count("renew"), 2, "twice a second")
		require.Equal(t, 1, r.metric("gitaly_praefect_lease_held"))
		require.Equal(t, 1, r.metric("gitaly_praefect_incarnations_total"))
		require.InDelta(t, 100, r.metric("gitaly_praefect_lease_renewals_total", "renewed"), 2)
		r.stop()
		require.Equal(t, []string{"lease taken", "lease given back"}, r.messages())
	})
}

// TestLateAnswer has a renewal whose answer says yes after the lease has run out here: it is lost
// all the same.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, slow := newLedger(), make(chan struct{})
		r := settled(t, store)
		first := r.holding()
		store.change(func() {
			store.after = func(call string) {
				if call == "renew" {
					<-slow
				}
			}
		})
		after(period + lease + margin/2)
		store.change(func() { store.after = nil })
		require.Equal(t, []coordinator.Incarnation{first}, store.living(), "the store renewed it")
		close(slow)
		synctest.Wait()
		require.NotEqual(t, first, r.holding())
		require.Equal(t, []string{"it was not renewed in time"}, r.reasons())
		require.Zero(t, r.tailsLost())
		r.stop()
	})
}

// TestCountedFromSending has answers that take their time: the lease ends after the moment when the
// last renewal was sent, not when its answer came.
func TestCountedFromSending(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		r := start(t, store)
		<-r.Enlisted()
		sent := make(chan time.Time, 100)
		store.change(func() {
			store.before = func(string) { sent <- time.Now() }
			store.after = func(string) { <-time.After(time.Second) }
		})
		begin := <-sent
		<-time.After(time.Millisecond)
		store.change(func() { store.away, store.after = true, nil })
		after(time.Until(begin.Add(lease - time.Millisecond)))
		r.holding()
		after(time.Millisecond)
		r.notHolding()
		store.change(func() { store.before = nil })
		r.stop()
	})
}

// TestSlowEnlistment has an answer that comes after the new lease would have run out.
func TestSlowEnlistment(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"enlist", "renew"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := newLedger()
				store.after = func(made string) {
					if made == call {
						<-time.After(lease + time.Millisecond)
					}
				}
				r := start(t, store)
				for range 15 {
					after(time.Second)
					_, holds := r.Incarnation()
					require.Equal(t, call == "enlist" && store.count("renew") > 0, holds)
				}
				store.change(func() { store.after = nil })
				after(2 * lease)
				r.holding()
				r.stop()
			})
		})
	}
}

// TestClocks lets one clock jump while a renewal is on its way that the store agrees to: the lease
// has run out, and stays so even if the clock is set back before the answer is there.
func TestClocks(t *testing.T) {
	t.Parallel()
	const suspended = int64(lease)
	for name, jump := range map[string]func(r *rig, by int64){
		"wall":      func(r *rig, by int64) { r.wall.Add(by) },
		"monotonic": func(r *rig, by int64) { r.monotonic.Add(by) },
		"both":      func(r *rig, by int64) { r.wall.Add(by); r.monotonic.Add(by) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := newLedger()
				r := settled(t, store)
				first := r.holding()
				slow, once := make(chan struct{}), sync.Once{}
				store.change(func() {
					store.after = func(string) { once.Do(func() { <-slow }) }
				})
				after(period)
				r.holding()

				jump(r, suspended)
				r.notHolding()
				jump(r, -suspended)
				r.notHolding()
				close(slow)
				synctest.Wait()
				require.NotEqual(t, first, r.holding())
				require.Equal(t, []string{"it was not renewed in time"}, r.reasons())
				require.False(t, r.heldAtForget)
				r.stop()
			})
		})
	}
}

// TestFoundMeanwhile has a reader find the end of the lease right after the clocks were read that
// let the renewal take effect.
func TestFoundMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		r := settled(t, store)
		first, found := r.holding(), false
		meanwhile := func() {
			r.wall.Add(int64(lease))
			r.notHolding()
			r.wall.Add(-int64(lease))
			found = true
		}
		store.change(func() {
			store.after = func(string) {
				r.meanwhile.Store(&meanwhile)
				store.change(func() { store.after = nil })
			}
		})
		after(period)
		require.True(t, found)
		require.NotEqual(t, first, r.holding())
		require.Equal(t, 1, r.metric("gitaly_praefect_lease_renewals_total", "late"))
		r.stop()
	})
}

// TestJumpUnseen has nobody ask for the lease: the next renewal finds that it has run out.
func TestJumpUnseen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		r := settled(t, store)
		first := r.holding()
		r.wall.Add(int64(lease))
		after(period)
		require.NotEqual(t, first, r.holding())
		r.stop()
	})
}

// TestNeverAgain has many ask at once, while answers are late and clocks jump: nobody sees an
// incarnation hold that somebody saw ended.
func TestNeverAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		store.after = func(string) { <-time.After(time.Millisecond) }
		r := start(t, store)
		<-r.Enlisted()
		var (
			mu    sync.Mutex
			ended = map[coordinator.Incarnation]bool{}
			group sync.WaitGroup
		)
		for range 4 {
			group.Go(func() {
				for range 4000 {
					mu.Lock()
					incarnation, holds := r.Incarnation()
					require.False(t, holds && ended[incarnation])
					ended[incarnation] = ended[incarnation] || !holds
					mu.Unlock()
					<-time.After(3 * time.Millisecond)
				}
			})
		}
		for range 10 {
			<-time.After(1100*time.Millisecond + time.Millisecond/2)
			r.wall.Add(int64(lease))
			<-time.After(time.Millisecond)
			r.wall.Add(-int64(lease))
		}
		group.Wait()
		require.Greater(t, len(ended), 3)
		r.stop()
	})
}

// TestForgetFirst holds the new lease back until all routes are forgotten.
func TestForgetFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		r := settled(t, store)
		require.Equal(t, []string{"forget"}, r.saw(), "loads may have begun before the lease")
		block := make(chan struct{})
		r.set(func() { r.block = block })
		r.wall.Add(int64(lease))
		after(period)
		require.Equal(t, []string{"forget"}, r.saw())
		require.Equal(t, 2, store.count("enlist"), "routes are forgotten after the number is known")
		r.notHolding()
		r.set(func() { r.block = nil })
		close(block)
		synctest.Wait()
		r.holding()
		require.False(t, r.heldAtForget)
		r.stop()
	})
}

// TestRefused ends the incarnation for the store.
func TestRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		r := settled(t, store)
		first := r.holding()
		store.change(func() { delete(store.members, first) })
		after(period)
		require.NotEqual(t, first, r.holding())
		require.Equal(t, []string{"the store does not know it any more"}, r.reasons())
		require.Equal(t, 1, r.metric("gitaly_praefect_lease_renewals_total", "refused"))
		require.Equal(t, 2, r.metric("gitaly_praefect_incarnations_total"))
		require.Equal(t, 1, r.tailsLost(), "it should have held")
		r.stop()
	})
}

// TestSameName has two processes of one name by mistake: they do not fight for it.
func TestSameName(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		one := settled(t, store)
		first := one.holding()
		other := start(t, store)
		after(period)
		require.Len(t, store.living(), 2)
		require.NotEqual(t, first, one.holding(), "the start ended it, as if it were dead")
		after(time.Minute)
		require.Equal(t, 3, store.count("enlist"))
		one.stop()
		other.stop()
	})
}

// TestSuccessor replaces a process without downtime: both hold their leases until the old one ends,
// also when each of them begins anew meanwhile. Whoever starts after a crash ends what both left.
func TestSuccessor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		old := settled(t, store)
		first := old.holding()
		successor := prepareOn(t, store, membership.Config{Name: "own", Successor: true})
		successor.run()
		after(2*lease + time.Millisecond)
		require.Equal(t, first, old.holding())
		require.Empty(t, old.reasons())

		old.wall.Add(int64(lease))
		after(period)
		require.NotEqual(t, first, old.holding())
		require.Empty(t, successor.reasons())
		second := successor.holding()
		successor.wall.Add(int64(lease))
		after(period)
		require.NotEqual(t, second, successor.holding())
		require.ElementsMatch(t, []coordinator.Incarnation{
			old.holding(), successor.holding(),
		}, store.living(), "each ends its own earlier ones at once")

		old.stop()
		after(period)
		require.Equal(t, []coordinator.Incarnation{successor.holding()}, store.living())
		require.Len(t, successor.reasons(), 1)

		store.change(func() { store.away = true })
		successor.stop()
		store.change(func() { store.away = false })
		require.Len(t, store.living(), 1, "as after a crash")
		next := start(t, store)
		<-next.Enlisted()
		require.Equal(t, []coordinator.Incarnation{next.holding()}, store.living())
		next.stop()
	})
}

// mute loses the answers to the first enlistments.
type mute struct {
	*ledger
	left int
}

func (m *mute) Enlist(
	ctx context.Context, enlistment coordinator.Enlistment,
) (coordinator.Sequence, error) {
	last, err := m.ledger.Enlist(ctx, enlistment)
	if m.left--; m.left >= 0 {
		return 0, errAway
	}
	return last, err
}

// TestLostAttempts has attempts to enlist arrive whose answers are lost: they do not live on beside
// the one that succeeds.
func TestLostAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		r := prepareOn(t, &mute{ledger: store, left: 2}, membership.Config{
			Name: "own", Successor: true,
		})
		r.run()
		<-r.Enlisted()
		require.Equal(t, 3, store.count("enlist"))
		require.Equal(t, []coordinator.Incarnation{r.holding()}, store.living())
		r.stop()
	})
}

// TestAway has no store for a while.
func TestAway(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(*ledger, bool){
		"refused": func(l *ledger, away bool) { l.away = away },
		"stalled": func(l *ledger, away bool) { l.stalled = away },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := newLedger()
				r := settled(t, store)
				first := r.holding()
				store.change(func() { away(store, true) })
				after(3 * time.Second)
				store.change(func() { away(store, false) })
				after(2 * time.Second)
				require.Equal(t, first, r.holding(), "three seconds are nothing")
				require.Empty(t, r.reasons())

				store.change(func() { away(store, true) })
				after(6 * time.Second)
				r.notHolding()
				after(time.Minute)
				require.Equal(t, []string{"it was not renewed in time"}, r.reasons())
				require.Zero(t, r.metric("gitaly_praefect_lease_held"))
				store.change(func() { away(store, false) })
				after(5 * time.Second)
				require.NotEqual(t, first, r.holding())
				require.Equal(t, []string{
					"lease taken", "lease is not renewed", "lease is not renewed", "lease lost",
					"lease is not taken", "lease taken",
				}, r.messages(), "one line for each that happened")
				require.Zero(t, r.tailsLost())
				r.stop()
			})
		})
	}
}

// TestStalledToTheEnd gives up a renewal when its answer would be too late.
func TestStalledToTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		r := settled(t, store)
		store.change(func() { store.stalled = true })
		after(lease)
		require.Equal(t, 2, store.count("enlist"))
		store.change(func() { store.stalled = false })
		r.stop()
	})
}

// TestResign ends the lease here before it ends for others.
func TestResign(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		r := start(t, store)
		<-r.Enlisted()
		incarnation, held := r.holding(), true
		store.change(func() {
			store.before = func(call string) {
				if call == "resign" {
					_, held = r.Incarnation()
				}
			}
		})
		r.stop()
		require.False(t, held)
		require.True(t, store.members[incarnation].resigned)
		r.notHolding()
		require.Empty(t, r.reasons())
	})
}

// TestResignBounded has a store that does not answer at the end.
func TestResignBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		r := start(t, store)
		<-r.Enlisted()
		store.change(func() { store.stalled = true })
		begin := time.Now()
		r.stop()
		require.Equal(t, 2*time.Second, time.Since(begin))
		require.Equal(t, []string{"lease taken", "lease is left to run out"}, r.messages())
	})
}

// TestNeverEnlisted ends before there was a store.
func TestNeverEnlisted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		store.away = true
		r := start(t, store)
		after(time.Minute)
		require.Equal(t, []string{"lease is not taken"}, r.messages())
		select {
		case <-r.Enlisted():
			require.Fail(t, "there is no lease")
		default:
		}
		r.notHolding()
		r.stop()
		require.Equal(t, 1, store.count("resign"), "an attempt may have arrived")
	})
}

// TestDefaults has the clocks of this machine, and the times that others count on.
func TestDefaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		r := prepare(t, store)
		dependencies := r.Dependencies
		dependencies.Registerer = prometheus.NewRegistry()
		config := membership.Config{Name: "own"}
		require.Equal(t, lease+margin, config.End())
		worker, err := membership.New(dependencies, r.log, config)
		require.NoError(t, err)
		r.Worker = worker
		r.run()
		<-r.Enlisted()
		store.change(func() { store.away = true })
		after(lease - time.Millisecond)
		r.holding()
		after(time.Millisecond)
		r.notHolding()
		require.Len(t, store.living(), 1)
		after(margin)
		require.Empty(t, store.living())
		r.stop()
	})
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	r := prepare(t, newLedger())
	for _, config := range []membership.Config{
		{},
		{Name: "own", Lease: -1},
		{Name: "own", Margin: -1},
		{Name: "own", Resign: -1},
		{Name: "own", Poll: -1},
	} {
		_, err := membership.New(r.Dependencies, r.log, config)
		require.ErrorIs(t, err, membership.ErrInvalidConfig)
	}
	_, err := membership.New(r.Dependencies, r.log, membership.Config{Name: "own"})
	require.Error(t, err, "metrics can be registered once")
}
