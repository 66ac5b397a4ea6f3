package repair_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"praefect/coordinator"
	"praefect/coordinator/repair"
)

func TestRepair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.repository(t, path)
		stop := w.work(t, repair.Config{})
		defer stop()
		begin := time.Now()
		w.push(t, path, "refs/heads/main", 1, "a", "b")
		require.Equal(t, []coordinator.Storage{"a", "b"}, w.current(t, path))
		<-time.After(100 * time.Millisecond)
		require.Len(t, w.current(t, path), 3, "it was woken by the record")
		require.Less(t, time.Since(begin), time.Second)
		w.requireEqual(t, path)
		require.Len(t, w.disks.copied(), 2, "once before and once under the turn")
		for _, job := range w.disks.copied() {
			require.Equal(t, coordinator.Storage("c"), job.Target)
			require.NotEqual(t, coordinator.Storage("c"), job.Source)
		}
		require.Empty(t, w.disks.gone())
	})
}

// TestRepairWaitsForTheNode has an outdated replica on a node that is away.
func TestRepairWaitsForTheNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.repository(t, path)
		stop := w.work(t, repair.Config{})
		defer stop()
		w.disks.set(func(d *disks) { d.sick["c"] = true })
		w.push(t, path, "refs/heads/main", 1, "a", "b")
		<-time.After(time.Minute)
		require.Empty(t, w.disks.copied())
		w.disks.set(func(d *disks) { d.sick = map[coordinator.Storage]bool{} })
		<-time.After(2 * time.Second)
		require.Len(t, w.current(t, path), 3)
	})
}

// TestRepairNeedsSource has nobody to copy from for a while, which is no failure of the target.
func TestRepairNeedsSource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.repository(t, path)
		w.push(t, path, "refs/heads/main", 1, "a")
		w.disks.set(func(d *disks) { d.sick["a"] = true })
		stop := w.work(t, repair.Config{})
		defer stop()
		<-time.After(time.Minute)
		require.Empty(t, w.disks.copied())
		w.disks.set(func(d *disks) { d.sick["a"] = false })
		<-time.After(3 * time.Second)
		require.Len(t, w.current(t, path), 3)
		require.Empty(t, w.disks.gone())
	})
}

// TestRepairFails has copies that fail: the third failure has the replica removed and copied
// afresh.
func TestRepairFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		repository := w.repository(t, path)
		w.push(t, path, "refs/heads/main", 1, "a", "b")
		w.disks.apply("c", repository.ReplicaPath, "refs/heads/locked", 7)
		w.disks.set(func(d *disks) { d.fail = 3 })
		begin := time.Now()
		stop := w.work(t, repair.Config{})
		defer stop()
		for len(w.current(t, path)) < 3 {
			<-time.After(100 * time.Millisecond)
		}
		elapsed := time.Since(begin)
		require.Greater(t, elapsed, 3*time.Second, "it backs off")
		require.Less(t, elapsed, 15*time.Second)
		require.Len(t, w.disks.gone(), 1)
		require.Equal(t, coordinator.Storage("c"), w.disks.gone()[0].Target)
		w.requireEqual(t, path)
	})
}

// TestRepairHangs has a node that takes a copy and never ends it.
func TestRepairHangs(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]repair.Config{
		"until it is found sick":      {},
		"until the time for it is up": {Copy: time.Minute, BackoffMax: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.repository(t, path)
				w.push(t, path, "refs/heads/main", 1, "a", "b")
				w.disks.set(func(d *disks) { d.hang = true })
				stop := w.work(t, config)
				defer stop()
				<-time.After(30 * time.Second)
				require.Len(t, w.disks.copied(), 1)
				if config.Copy == 0 {
					w.disks.set(func(d *disks) { d.sick["c"] = true })
				}
				<-time.After(45 * time.Second)
				w.disks.set(func(d *disks) {
					d.hang, d.sick = false, map[coordinator.Storage]bool{}
				})
				<-time.After(time.Minute)
				require.Len(t, w.current(t, path), 3)
				require.Empty(t, w.disks.gone(), "it was not the replica's fault")
			})
		})
	}
}

// TestRepairBounds has many replicas due at once.
func TestRepairBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const repositories = 12
		for i := range repositories {
			path := fmt.Sprintf("%d.git", i)
			w.repository(t, path)
			w.push(t, path, "refs/heads/main", 1, "a")
		}
		w.disks.set(func(d *disks) { d.pace = 100 * time.Millisecond })
		stop := w.work(t, repair.Config{PerTarget: 2, PerSource: 3})
		defer stop()
		<-time.After(2 * time.Minute)
		for i := range repositories {
			require.Len(t, w.current(t, fmt.Sprintf("%d.git", i)), 3)
		}
		require.Equal(t, 2, w.disks.peak("to b"))
		require.Equal(t, 2, w.disks.peak("to c"))
		for _, source := range []string{"from a", "from b", "from c"} {
			require.LessOrEqual(t, w.disks.peak(source), 3, source)
		}
	})
}

// TestRepairBatch has room for more copies than are claimed at once: all of it is used, without
// waiting for the next poll, and no claim asks for more than a batch.
func TestRepairBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const repositories = 6
		for i := range repositories {
			path := fmt.Sprintf("%d.git", i)
			w.repository(t, path)
			w.push(t, path, "refs/heads/main", 1, "a", "b")
		}
		w.disks.set(func(d *disks) { d.pace = 10 * time.Second })
		store := &counted{Store: w.store}
		stop := w.workOn(t, store, repair.Config{PerTarget: 5, Batch: 2, Poll: time.Hour})
		defer stop()
		<-time.After(time.Second)
		require.Equal(t, 5, w.disks.now("to c"))
		require.Equal(t, 2, store.limit)
	})
}

// counted keeps the highest limit that was asked for.
type counted struct {
	repair.Store
	limit int
}

func (c *counted) ClaimRepairs(
	ctx context.Context, request coordinator.RepairRequest,
) ([]coordinator.RepairClaim, error) {
	for _, target := range request.Targets {
		c.limit = max(c.limit, target.Limit)
	}
	return c.Store.ClaimRepairs(ctx, request)
}

// TestRepairStops ends the worker in the middle of a copy: another one goes on at once.
func TestRepairStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.repository(t, path)
		w.push(t, path, "refs/heads/main", 1, "a", "b")
		w.disks.set(func(d *disks) { d.hang = true })
		stop := w.work(t, repair.Config{})
		<-time.After(time.Second)
		require.Len(t, w.disks.copied(), 1)
		stop()
		w.disks.set(func(d *disks) { d.hang = false })
		stop = w.work(t, repair.Config{})
		defer stop()
		<-time.After(2 * time.Second)
		require.Len(t, w.current(t, path), 3)
	})
}

// frozen is a store whose claims cannot be renewed.
type frozen struct{ repair.Store }

func (frozen) RenewRepair(ctx context.Context, _ coordinator.RepairClaim, _ time.Duration) error {
	<-ctx.Done()
	return coordinator.ErrMetadataUnavailable
}

// TestRepairLosesClaim has a database that is away: the copy is given up before another process
// may claim the replica.
func TestRepairLosesClaim(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.repository(t, path)
		w.push(t, path, "refs/heads/main", 1, "a", "b")
		w.disks.set(func(d *disks) { d.hang = true })
		stop := w.workOn(t, frozen{w.store}, repair.Config{Claim: time.Minute})
		<-time.After(49 * time.Second)
		require.Equal(t, 1, w.disks.now("to c"))
		<-time.After(2 * time.Second)
		require.LessOrEqual(t, len(w.disks.copied()), 2)
		stop()
		require.Zero(t, w.disks.now("to c"))
	})
}

// TestRepairOfDeleted has a repository that is deleted while it is being copied: the copy ends, so
// that the removal can go on.
func TestRepairOfDeleted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		repository := w.repository(t, path)
		w.push(t, path, "refs/heads/main", 1, "a", "b")
		w.disks.set(func(d *disks) { d.hang = true })
		stop := w.work(t, repair.Config{})
		defer stop()
		<-time.After(time.Second)
		removal, err := w.BeginRemoval(t.Context(), key(path))
		require.NoError(t, err)
		require.True(t, removal.Repository.Replicas[2].Repairing)
		<-time.After(21 * time.Second)
		require.Zero(t, w.disks.now("to c"))
		left, err := w.store.Load(t.Context(), repository.ID)
		require.NoError(t, err)
		require.False(t, left.Replicas[2].Repairing)
	})
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	for _, config := range []repair.Config{
		{Poll: -1},
		{PerSource: -1},
		{Batch: -1},
		{BackoffMin: time.Minute, BackoffMax: time.Second},
	} {
		_, err := repair.New(repair.Dependencies{Registerer: prometheus.NewRegistry()},
			zap.NewNop(), config)
		require.ErrorIs(t, err, repair.ErrInvalidConfig)
	}
}
