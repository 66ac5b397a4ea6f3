package repair_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"praefect/coordinator"
	"praefect/coordinator/repair"
	"praefect/transaction"
)

// pusher pushes to one reference of a repository again and again. A replica can take a push only if
// it holds what the push builds upon when the upload has ended, as with git.
type pusher struct {
	*world
	load
	reference string
	random    *rand.Rand
}

// load says how pushes go.
type load struct {
	seed uint64
	// upload is how long a push takes at most until it asks for its turn.
	upload time.Duration
	// failures is the probability with which a secondary does not confirm.
	failures float64
}

// push makes one push. That another primary took over meanwhile is no error.
func (p *pusher) push(ctx context.Context) error {
	write, err := p.BeginWrite(ctx, key(path), coordinator.WriteOptions{})
	if err != nil {
		return err
	}
	plan := write.Plan()
	base := p.disks.get(plan.Primary, plan.ReplicaPath)[p.reference]
	<-time.After(rand.N(p.upload))

	able := p.able(plan, base)
	bounded, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	lapsed, err := write.TakeTurn(bounded)
	if errors.Is(err, coordinator.ErrPrimaryChanged) {
		_, err = write.Finish(ctx, coordinator.Result{})
		return err
	}
	if err != nil {
		return err
	}
	// Nobody else commits while the turn is held.
	if err := p.different(ctx, path); err != nil {
		return err
	}
	for _, voter := range lapsed {
		delete(able, coordinator.Storage(voter))
	}
	return p.commit(ctx, write, able, base+1)
}

// able lists who can take a push that builds on a value.
func (p *pusher) able(plan coordinator.Plan, base int) map[coordinator.Storage]bool {
	able := map[coordinator.Storage]bool{}
	for _, storage := range append(plan.Secondaries, plan.Primary) {
		if p.disks.get(storage, plan.ReplicaPath)[p.reference] >= base {
			able[storage] = true
		}
	}
	return able
}

// commit lets the nodes commit, each in its own time. One that fails may have changed its disk or
// not.
func (p *pusher) commit(
	ctx context.Context, write *coordinator.Write, able map[coordinator.Storage]bool, value int,
) error {
	plan := write.Plan()
	write.Committing()
	confirmed := []transaction.Voter{transaction.Voter(plan.Primary)}
	p.disks.apply(plan.Primary, plan.ReplicaPath, p.reference, value)
	for storage := range able {
		<-time.After(rand.N(5 * time.Millisecond))
		fails := storage != plan.Primary && p.random.Float64() < p.failures
		if storage == plan.Primary || (fails && p.random.IntN(2) == 0) {
			continue
		}
		p.disks.apply(storage, plan.ReplicaPath, p.reference, value)
		if !fails {
			confirmed = append(confirmed, transaction.Voter(storage))
		}
	}
	if err := write.Record(ctx, transaction.Record{
		Write: 1, Outcome: transaction.Kept, Raise: confirmed, Primary: confirmed[0],
	}); err != nil {
		return err
	}
	_, err := write.Finish(ctx, coordinator.Result{
		Votes: transaction.Summary{Prepared: true, Recorded: 1}, PrimaryOK: true,
	})
	return err
}

// keepBusy pushes to several references at once, without a pause, for a time.
func (w *world) keepBusy(
	ctx context.Context, load load, duration time.Duration,
) *errgroup.Group {
	begin := time.Now()
	pushers := &errgroup.Group{}
	const references = 4
	for i := range references {
		p := &pusher{
			world: w, load: load, reference: fmt.Sprintf("refs/heads/%d", i),
			random: rand.New(rand.NewPCG(load.seed, uint64(i))),
		}
		pushers.Go(func() error {
			for time.Since(begin) < duration {
				if err := p.push(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return pushers
}

// TestRepairOfBusyRepository has writers that never pause: the repair ends, and stays ended.
func TestRepairOfBusyRepository(t *testing.T) {
	t.Parallel()
	for name, upload := range map[string]time.Duration{
		"short pushes": 20 * time.Millisecond, "long pushes": 20 * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.repository(t, path)
				w.push(t, path, "refs/heads/main", 1, "a", "b")
				w.disks.set(func(d *disks) { d.pace = 20 * time.Millisecond })
				pushers := w.keepBusy(t.Context(), load{seed: 1, upload: upload}, 90*time.Second)
				stop := w.work(t, repair.Config{})

				<-time.After(time.Minute)
				copies := len(w.disks.copied())
				require.Len(t, w.current(t, path), 3, "it is repaired while it is written to")
				<-time.After(15 * time.Second)
				require.Len(t, w.current(t, path), 3)
				require.Len(t, w.disks.copied(), copies, "and not again and again")
				require.NoError(t, pushers.Wait())
				stop()
				require.NoError(t, w.different(t.Context(), path))
			})
		})
	}
}

// TestRepairNeverTears lets copies race with writes and secondaries fail all the time. Whenever a
// turn is held, all current replicas are equal.
func TestRepairNeverTears(t *testing.T) {
	t.Parallel()
	const seeds = 5
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.repository(t, path)
				w.disks.set(func(d *disks) { d.pace = 3 * time.Millisecond })
				pushers := w.keepBusy(t.Context(), load{
					seed: seed, upload: 30 * time.Millisecond, failures: 0.03,
				}, 20*time.Second)
				stop := w.work(t, repair.Config{})
				require.NoError(t, pushers.Wait())
				require.Greater(t, len(w.disks.copied()), 10, "nothing was repaired")
				<-time.After(10 * time.Second)
				require.Len(t, w.current(t, path), 3)
				require.NoError(t, w.different(t.Context(), path))
				stop()
			})
		})
	}
}

// TestRepairSettling has two of three replicas outdated whose nodes may still act on a write that
// was decided without them: they are copied to empty disks, where no late commit finds its locks.
func TestRepairSettling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		repository := w.repository(t, path)
		w.push(t, path, "refs/heads/main", 1, "a")
		require.NoError(t, w.store.Settle(t.Context(), repository.ID, coordinator.Settling{
			Storages: []coordinator.Storage{"b", "c"}, For: time.Hour,
		}))
		defer w.work(t, repair.Config{})()
		<-time.After(10 * time.Second)
		require.Len(t, w.current(t, path), 3)
		require.NotEmpty(t, w.disks.gone(), "the first is copied afresh, the other may wait")
		w.requireEqual(t, path)
	})
}
