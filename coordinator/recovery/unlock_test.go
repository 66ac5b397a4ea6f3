package recovery_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/coordinator/recovery"
)

// repairOne repairs what is due, on an empty disk, and returns it; empty if nothing was due.
func (w *world) repairOne(t *testing.T) coordinator.Storage {
	t.Helper()
	var targets []coordinator.RepairTarget
	for _, storage := range list("abc") {
		targets = append(targets, coordinator.RepairTarget{
			VirtualStorage: virtual, Storage: storage, Limit: 1,
		})
	}
	claims, err := w.store.ClaimRepairs(t.Context(), coordinator.RepairRequest{
		Claim: coordinator.ClaimID(rand.Int64()), Targets: targets, TTL: time.Minute,
	})
	require.NoError(t, err)
	if len(claims) == 0 {
		return ""
	}
	require.Len(t, claims, 1, "the others can be written to meanwhile")
	claim := claims[0]
	require.True(t, claim.Settling, "it is copied to an empty disk")
	require.Len(t, w.current(t), 2)
	require.NotEqual(t, claim.Storage, w.load(t).Primary)
	w.disks.set(func(d *disks) { delete(d.locks, claim.Storage) })
	require.NoError(t, w.store.JoinRepair(t.Context(), claim))
	require.NoError(t, w.store.FinishRepair(t.Context(), claim, w.load(t).Generation))
	return claim.Storage
}

// TestLocksLeftBehind has nodes whose write was cut off when they held locks: the replicas with
// locks that stay are copied afresh one by one, the primary last, and no others.
func TestLocksLeftBehind(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ locked, primary string }{
		"nobody": {"", "a"}, "everybody": {"abc", "b"}, "the primary": {"a", "b"},
		"secondaries": {"bc", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				for _, storage := range list(tc.locked) {
					w.disks.set(func(d *disks) { d.locks[storage] = "refs/heads/main.lock" })
				}
				w.left(t, "references", "a", "b", "c")
				defer w.work(t, w.prepare(t, "p"), nil, recovery.Config{})()
				var replaced storages
				for range 60 {
					<-time.After(time.Second)
					if storage := w.repairOne(t); storage != "" {
						replaced = append(replaced, storage)
					}
				}
				require.ElementsMatch(t, list(tc.locked), replaced)
				if tc.locked == "abc" {
					require.Equal(t, coordinator.Storage("a"), replaced[2], "the primary is last")
				}
				require.Len(t, w.current(t), 3)
				require.Contains(t, storages{coordinator.Storage(tc.primary), "c"},
					w.load(t).Primary)
			})
		})
	}
}

// TestLocksThatPass has a lock that is there for a moment, and others at other times, as those of
// writers are: nobody is outdated for that.
func TestLocksThatPass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.left(t, "references", "a", "b", "c")
		defer w.work(t, w.prepare(t, "p"), nil, recovery.Config{})()
		for i := range 30 {
			w.disks.set(func(d *disks) { d.locks["b"] = string(rune('a' + i)) })
			<-time.After(time.Second)
			require.Len(t, w.current(t), 3)
		}
		w.disks.set(func(d *disks) { delete(d.locks, "b") })
		<-time.After(time.Minute)
		require.Len(t, w.current(t), 3)
	})
}
