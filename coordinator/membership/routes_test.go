package membership_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

// TestInvalidations applies what others changed, in order and at once when told.
//
// Requirements: T053
func TestInvalidations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		old := store.invalidate("before", "this", "process")
		r := settled(t, store)
		incarnation := r.holding()
		require.Equal(t, []string{"forget"}, r.saw())
		require.Equal(t, old, store.applied(incarnation))

		last := store.invalidate("a", "b", "c", "b", "d")
		store.notify(coordinator.Notice{Kind: coordinator.NoticeInvalidated})
		synctest.Wait()
		require.Equal(t, []string{"a", "b", "c", "b", "d"}, r.saw())
		require.Equal(t, last, store.applied(incarnation))
		require.Equal(t, 5, r.metric("gitaly_praefect_invalidations_applied_total"))
		require.Equal(t, 3, store.count("acknowledge"))

		last = store.invalidate("e")
		after(period)
		require.Equal(t, []string{"e"}, r.saw(), "without a notice as well")
		require.Equal(t, last, store.applied(incarnation))
		r.stop()
	})
}

// TestAcknowledged is not said before all is applied that it is about.
func TestAcknowledged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		r := settled(t, store)
		incarnation, block := r.holding(), make(chan struct{})
		r.set(func() { r.events, r.block = nil, block })
		last := store.invalidate("a", "b")
		store.notify(coordinator.Notice{Kind: coordinator.NoticeInvalidated})
		for range 2 {
			synctest.Wait()
			require.Equal(t, coordinator.Sequence(0), store.applied(incarnation))
			block <- struct{}{}
		}
		synctest.Wait()
		require.Equal(t, last, store.applied(incarnation))
		require.Equal(t, []string{"a", "b"}, r.saw())
		r.set(func() { r.block = nil })
		r.stop()
	})
}

// TestAppliedFirst has a process that is slow to apply: the lease is not prolonged before, since a
// writer that cannot ask counts on the end of the one that held when it wrote.
func TestAppliedFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		r := settled(t, store)
		begin, block := time.Now(), make(chan struct{})
		after(period / 2)
		store.invalidate("a")
		r.set(func() { r.block = block })
		store.notify(coordinator.Notice{Kind: coordinator.NoticeInvalidated})
		after(time.Until(begin.Add(lease)))
		r.notHolding()
		require.Equal(t, coordinator.Sequence(0), store.applied(store.living()[0]))
		r.set(func() { r.block = nil })
		close(block)
		r.stop()
	})
}

// TestManyInvalidations has more than one answer brings: only the last of them prolongs the lease.
func TestManyInvalidations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		store.page = 1000
		r := settled(t, store)
		incarnation := r.holding()
		last := store.invalidate(make([]string, 1500)...)
		store.notify(coordinator.Notice{Kind: coordinator.NoticeInvalidated})
		synctest.Wait()
		require.Len(t, r.saw(), 1+1500)
		require.Equal(t, last, store.applied(incarnation))
		after(2 * lease)
		require.Equal(t, incarnation, r.holding())

		// The last renewal was a millisecond ago. The store goes away between two answers.
		begin := time.Now().Add(-time.Millisecond)
		store.change(func() {
			store.before = func(call string) {
				if call == "acknowledge" {
					store.change(func() { store.away = true })
				}
			}
		})
		store.invalidate(make([]string, 1500)...)
		after(period / 2)
		store.notify(coordinator.Notice{Kind: coordinator.NoticeInvalidated})
		synctest.Wait()
		require.Len(t, r.saw(), 1000)
		after(time.Until(begin.Add(lease - time.Millisecond)))
		require.Equal(t, incarnation, r.holding())
		after(time.Millisecond)
		r.notHolding()
		store.change(func() { store.away, store.before = false, nil })
		r.stop()
	})
}

// TestAcknowledgementLost is made up for by the next renewal.
func TestAcknowledgementLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		r := settled(t, store)
		store.change(func() {
			store.before = func(call string) {
				if call == "acknowledge" {
					store.change(func() { store.away = true })
				}
			}
		})
		last := store.invalidate("a")
		after(period)
		require.Zero(t, store.applied(r.holding()))
		store.change(func() { store.away, store.before = false, nil })
		after(period)
		require.Equal(t, last, store.applied(r.holding()))
		require.Equal(t, []string{
			"lease taken", "applied invalidations are not acknowledged",
		}, r.messages())
		require.Equal(t, []string{"forget", "a"}, r.saw(), "each once")
		r.stop()
	})
}

// TestBetween has invalidations arrive while an incarnation begins: before its number is known,
// between that and the first renewal, and between that and the moment from which the lease holds.
// Those that come before routes are forgotten concern nobody, but are acknowledged.
func TestBetween(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		var last coordinator.Sequence
		store.before = func(call string) {
			if call == "enlist" {
				store.invalidate("too early")
			}
		}
		store.after = func(call string) {
			switch {
			case call == "enlist":
				store.invalidate("one", "two", "three")
			case call == "renew" && store.count("renew") == 1:
				last = store.invalidate("four")
			}
		}
		r := start(t, store)
		<-r.Enlisted()
		synctest.Wait()
		require.Equal(t, []string{"forget", "one", "two", "three", "four"}, r.saw())
		require.Equal(t, last, store.applied(r.holding()))
		r.stop()
	})
}

// TestLoadsWithoutLease has a reader load and keep a route while there is no lease: what changes
// before the number is known is never told, so the route must be gone when the lease holds.
func TestLoadsWithoutLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		var order []string
		store.after = func(call string) {
			if len(order) < 2 {
				order = append(order, call)
			}
		}
		r := prepare(t, store)
		r.set(func() { r.block = make(chan struct{}) })
		r.run()
		synctest.Wait()
		require.Equal(t, []string{"forget"}, r.saw())
		require.Equal(t, []string{"enlist", "renew"}, order, "forgetting comes last")
		r.notHolding()
		r.set(func() { close(r.block); r.block = nil })
		<-r.Enlisted()
		r.stop()
	})
}

// TestNotices passes on what is said about turns, and listens again when that ends.
func TestNotices(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		store.deaf = true
		r := settled(t, store)
		renewed := store.count("renew")
		want := []coordinator.Notice{
			{Kind: coordinator.NoticeTurnWanted, Repository: 1},
			{Kind: coordinator.NoticeTurnFree, Repository: 2},
			{Kind: coordinator.NoticeTurnLeft, Repository: 3},
		}
		for _, notice := range want {
			store.notify(notice)
		}
		synctest.Wait()
		require.Equal(t, want, r.notices)
		require.Equal(t, renewed, store.count("renew"), "the lease has nothing to do with that")
		require.Equal(t, 2, store.count("listen"))
		require.Contains(t, r.messages(), "notices of other proxies are not received")
		r.stop()
	})
}

// TestTimeline has another server take over: what was applied and cached means nothing any more.
func TestTimeline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		store.invalidate("a", "b")
		r := settled(t, store)
		first := r.holding()
		require.Zero(t, r.tailsLost(), "the first timeline is no change")
		store.change(func() { store.timeline, store.last, store.log = "2", 0, nil })
		after(period)
		second := r.holding()
		require.NotEqual(t, first, second)
		require.Equal(t, []string{"another server took over the store"}, r.reasons())
		require.Equal(t, 1, r.tailsLost())
		r.saw()

		last := store.invalidate("c")
		after(period)
		require.Equal(t, []string{"c"}, r.saw(), "its number was that of another before")
		require.Equal(t, last, store.applied(second))
		after(time.Minute)
		require.Equal(t, second, r.holding())
		require.Equal(t, 1, r.tailsLost())
		r.stop()
	})
}

// TestNumbersAgain has a number given to another invalidation after a failover lost the first: that
// a proxy applied that number before is no acknowledgement.
func TestNumbersAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		r := settled(t, store)
		store.invalidate("lost")
		after(period)
		first := r.holding()
		require.Equal(t, coordinator.Sequence(1), store.applied(first))

		store.change(func() {
			store.timeline, store.last, store.log = "2", 0, nil
			store.members[first].applied = 0
		})
		awaited := store.invalidate("new")
		require.Equal(t, coordinator.Sequence(1), awaited)
		served, once := true, sync.Once{}
		store.change(func() {
			store.after = func(call string) {
				once.Do(func() {
					require.Equal(t, "renew", call)
					_, served = r.Incarnation()
					require.Zero(t, store.applied(first))
				})
			}
		})
		after(period)
		require.True(t, served, "it had not heard of the other server yet")
		require.Contains(t, r.saw(), "forget")
		r.stop()
	})
}

// TestTailOnce has a failover that shows in more than one way.
func TestTailOnce(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*ledger){
		"incarnation vanished": func(l *ledger) { clear(l.members) },
		"timeline changed":     func(l *ledger) { l.timeline = "2" },
		"both":                 func(l *ledger) { clear(l.members); l.timeline = "2" },
		"after an outage": func(l *ledger) {
			clear(l.members)
			l.timeline, l.away = "2", true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := newLedger()
				r := settled(t, store)
				store.change(func() { fail(store) })
				after(2 * lease)
				store.change(func() { store.away = false })
				after(time.Minute)
				r.holding()
				require.Equal(t, 1, r.tailsLost())
				require.Len(t, r.reasons(), 1)
				r.stop()
			})
		})
	}
}
