package recovery_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/coordinator/recovery"
)

// announced leaves a call behind that may change something without a vote, and the end of its
// proxy.
func (w *world) announced(t *testing.T) {
	t.Helper()
	lost := w.enlist(t, "lost")
	require.NoError(t, w.store.Announce(t.Context(), coordinator.Announcement{
		Write: 7, Repository: 1000, Incarnation: lost, Participants: storages{"a", "b", "c"},
	}))
	require.NoError(t, w.store.Resign(t.Context(), lost))
}

// TestAnnouncement has a proxy die while nodes do something that nobody votes on: another compares
// them at once, and again when no node can act any more.
func TestAnnouncement(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		content, late string
		sick          coordinator.Storage
		first, last   storages
	}{
		"the primary has begun":         {"noo", "noo", "", list("a"), list("a")},
		"all but one have done it":      {"nno", "nno", "", list("ab"), list("ab")},
		"nobody has":                    {"ooo", "ooo", "", list("abc"), list("abc")},
		"a node does it later":          {"ooo", "ono", "", list("abc"), list("ac")},
		"and a node is away":            {"noo", "noo", "c", list("ac"), list("a")},
		"a node is away, others equal":  {"oon", "oon", "c", list("abc"), list("ab")},
		"a node is away, and it is not": {"ooo", "ooo", "c", list("abc"), list("abc")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.set(tc.content)
				w.disks.set(func(d *disks) { d.sick[tc.sick] = true })
				w.announced(t)
				stop := w.work(t, w.prepare(t, "p"), nil, recovery.Config{})
				defer stop()
				<-time.After(time.Second)
				w.requireOutcome(t, "a", tc.first...)

				w.set(tc.late)
				w.disks.set(func(d *disks) { d.sick[tc.sick] = false })
				<-time.After(6 * time.Minute)
				w.requireOutcome(t, "a", tc.last...)
				require.False(t, w.pending(t, 6*time.Minute))
			})
		})
	}
}

// TestComparisonDuringAnnouncedCall has replicas differ for as long as a call takes: nobody is
// outdated for that, and they are compared when it has ended.
func TestComparisonDuringAnnouncedCall(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		// begins says that the call begins only when the first replica is asked under the turn.
		begins bool
		end    string
		want   storages
	}{
		"equal in the end":     {false, "nnn", list("abc")},
		"different in the end": {false, "onn", list("bc")},
		"begins meanwhile":     {true, "nnn", list("abc")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				caller := w.enlist(t, "caller")
				announce := sync.OnceFunc(func() {
					require.NoError(t, w.store.Announce(t.Context(), coordinator.Announcement{
						Write: 7, Repository: 1000, Incarnation: caller,
						Participants: storages{"a", "b", "c"},
					}))
				})
				w.disks.set(func(d *disks) {
					d.before = func(recovery.Question) {
						if tc.begins && w.load(t).TurnHeld {
							announce()
						}
					}
				})
				if !tc.begins {
					announce()
				}
				w.set("noo")
				w.due(t)
				p := w.prepare(t, "p")
				stop := w.work(t, p, nil, recovery.Config{})
				defer stop()
				<-time.After(time.Minute)
				w.requireOutcome(t, "a", "a", "b", "c")
				require.NotZero(t, p.logs.FilterMessageSnippet("when a call has ended").Len())

				w.set(tc.end)
				require.NoError(t, w.store.Withdraw(t.Context(), coordinator.Withdrawal{
					Write: 7, Repository: 1000, Compare: true,
				}))
				<-time.After(time.Minute)
				require.Equal(t, tc.want, w.current(t))
				require.False(t, w.pending(t, 6*time.Minute))
			})
		})
	}
}

// TestAnnouncementWithoutPrimary has the primary die together with the proxy: another is elected,
// although nobody writes, so that the others do not stay different.
func TestAnnouncementWithoutPrimary(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.set("ono")
		w.disks.set(func(d *disks) { d.sick["a"] = true })
		w.announced(t)
		stop := w.work(t, w.prepare(t, "p"), nil, recovery.Config{})
		defer stop()
		<-time.After(time.Second)
		elected := w.load(t).Primary
		require.NotEqual(t, coordinator.Storage("a"), elected)
		require.ElementsMatch(t, storages{"a", elected}, w.current(t), "one is away, one differs")

		w.disks.set(func(d *disks) { d.sick["a"] = false })
		<-time.After(6 * time.Minute)
		want := storages{elected}
		if elected == "c" {
			want = storages{"a", "c"} // They hold the same.
		}
		w.requireOutcome(t, elected, want...)
		require.False(t, w.pending(t, 6*time.Minute))
	})
}
