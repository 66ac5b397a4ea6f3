package coordinator_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"praefect/coordinator"
	"praefect/transaction"
	"praefect/transaction/registry"
)

// The registry's view of a write is what it implements.
var _ registry.Writer = (*coordinator.Write)(nil)

func TestWrite(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	id := r.repository(t, path)
	write := r.write(t, coordinator.WriteOptions{})
	require.Equal(t, coordinator.Plan{
		Repository: id, Key: key(), ReplicaPath: coordinator.ReplicaPath(id, path),
		Primary: "a", Secondaries: []coordinator.Storage{"b", "c"}, MinimumCopies: 2,
	}, write.Plan())
	require.Equal(t, 1, r.store.total(), "one statement loads the route")

	commit(t, write, "a", "b", "c")
	finish(t, write, success(), coordinator.OutcomeRecorded)
	require.Equal(t, 2, r.store.total(), "one for the turn, one for the record")
	require.Equal(t, coordinator.Generation(1), r.load(t).Generation)

	again := r.write(t, coordinator.WriteOptions{})
	commit(t, again, "a", "b", "c")
	finish(t, again, success(), coordinator.OutcomeRecorded)
	require.Equal(t, 2, r.store.total(), "the route is cached")
}

func TestWriteRefusals(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	begin := func(key coordinator.Key, options coordinator.WriteOptions) error {
		_, err := r.BeginWrite(t.Context(), key, options)
		return err
	}
	require.ErrorIs(t, begin(key(), coordinator.WriteOptions{}), coordinator.ErrRepositoryNotFound)
	require.ErrorIs(t, begin(coordinator.Key{VirtualStorage: "other"}, coordinator.WriteOptions{}),
		coordinator.ErrUnknownVirtualStorage)
	r.repository(t, path)
	for _, additional := range []coordinator.Key{
		{VirtualStorage: virtual, RelativePath: "unknown"},
		{VirtualStorage: "other", RelativePath: path},
	} {
		require.ErrorIs(t, begin(key(), coordinator.WriteOptions{Additional: &additional}),
			coordinator.ErrAdditionalRepositoryNotFound)
	}
	r.health.set("b", "c")
	require.ErrorIs(t, begin(key(), coordinator.WriteOptions{}), coordinator.ErrTooFewCopies)
	r.health.set("a", "b", "c")
	require.ErrorIs(t, begin(key(), coordinator.WriteOptions{}), coordinator.ErrNoHealthyNode)

	r.health.set()
	finish(t, r.write(t, coordinator.WriteOptions{}), coordinator.Result{}, coordinator.OutcomeNone)
}

func TestWriteAdditional(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	pool := r.repository(t, "pool.git")
	write := r.write(t, coordinator.WriteOptions{
		Additional: &coordinator.Key{VirtualStorage: virtual, RelativePath: "pool.git"},
	})
	require.Equal(t, coordinator.ReplicaPath(pool, "pool.git"), write.Plan().AdditionalReplicaPath)
	finish(t, write, coordinator.Result{}, coordinator.OutcomeNone)
}

// TestWriteElects has a primary that is not healthy.
func TestWriteElects(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	r.health.set("a")
	write := r.write(t, coordinator.WriteOptions{})
	plan := write.Plan()
	require.NotEqual(t, coordinator.Storage("a"), plan.Primary)
	require.Len(t, plan.Secondaries, 1)
	voters := []transaction.Voter{
		transaction.Voter(plan.Primary), transaction.Voter(plan.Secondaries[0]),
	}
	commit(t, write, voters...)
	finish(t, write, success(), coordinator.OutcomeRecorded)
	require.Equal(t, coordinator.Epoch(2), r.load(t).Epoch)
	require.NotContains(t, r.current(t), coordinator.Storage("a"))
}

// TestT182RandomPrimary loses the primary of many repositories: the others share them, by chance.
// Nobody is elected before somebody writes.
//
// Requirements: T178
func TestT182RandomPrimary(t *testing.T) {
	t.Parallel()
	const repositories = 60
	r := setup(t, coordinator.Config{})
	var keys []coordinator.Key
	var ids []coordinator.RepositoryID
	for length := range repositories {
		path := strings.Repeat("x", length+1) + ".git"
		ids = append(ids, r.repository(t, path))
		keys = append(keys, coordinator.Key{VirtualStorage: virtual, RelativePath: path})
	}
	r.health.set("a")
	primaries := map[coordinator.Storage]int{}
	for i, lost := range keys {
		before, err := r.store.Load(t.Context(), ids[i])
		require.NoError(t, err)
		require.Equal(t, coordinator.Storage("a"), before.Primary, "nobody has asked for one")
		write, err := r.BeginWrite(t.Context(), lost, coordinator.WriteOptions{})
		require.NoError(t, err)
		primaries[write.Plan().Primary]++
		finish(t, write, coordinator.Result{}, coordinator.OutcomeNone)
		after, err := r.store.Load(t.Context(), ids[i])
		require.NoError(t, err)
		require.Equal(t, write.Plan().Primary, after.Primary)
	}
	require.Zero(t, primaries["a"])
	for _, storage := range []coordinator.Storage{"b", "c"} {
		require.Greater(t, primaries[storage], repositories/6, primaries)
	}
}

// TestElectionWaitsForCommit has a primary that dies while its write is being committed: a new
// epoch would make the record of that write fail.
func TestElectionWaitsForCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, coordinator.Config{})
		r.repository(t, path)
		write := r.write(t, coordinator.WriteOptions{})
		_, err := write.TakeTurn(t.Context())
		require.NoError(t, err)
		write.Committing()
		r.health.set("a")

		next := make(chan coordinator.Plan, 1)
		go func() {
			write, err := r.BeginWrite(t.Context(), key(), coordinator.WriteOptions{})
			if err == nil {
				next <- write.Plan()
				_, err = write.Finish(t.Context(), coordinator.Result{})
			}
			if err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		require.Empty(t, next)
		require.NoError(t, write.Record(t.Context(), kept(1, "b", "c")))
		require.Equal(t, coordinator.Storage("b"), (<-next).Primary, "the record has elected")
		finish(t, write, success(), coordinator.OutcomeRecorded)
		require.Equal(t, coordinator.Epoch(2), r.load(t).Epoch)
	})
}

func TestTurnLapsed(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	first, second := r.write(t, coordinator.WriteOptions{}), r.write(t, coordinator.WriteOptions{})
	commit(t, first, "a", "b")
	lapsed, err := second.TakeTurn(t.Context())
	require.NoError(t, err)
	require.Equal(t, []transaction.Voter{"c"}, lapsed)
	require.NoError(t, second.Record(t.Context(), kept(1, "a", "b", "c")))
	require.Equal(t, []coordinator.Storage{"a", "b"}, r.current(t), "it is not raised all the same")
	finish(t, first, success(), coordinator.OutcomeRecorded)
	finish(t, second, success(), coordinator.OutcomeRecorded)
}

func TestTurnAborts(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		meanwhile func(t *testing.T, r *rig)
		want      error
	}{
		"another primary": {func(t *testing.T, r *rig) {
			t.Helper()
			write := r.write(t, coordinator.WriteOptions{})
			commit(t, write, "b", "a")
			finish(t, write, success(), coordinator.OutcomeRecorded)
		}, coordinator.ErrPrimaryChanged},
		"another process's primary": {func(t *testing.T, r *rig) {
			t.Helper()
			write := setupOn(t, r.store, coordinator.Config{}).write(t, coordinator.WriteOptions{})
			commit(t, write, "b", "a")
			finish(t, write, success(), coordinator.OutcomeRecorded)
		}, coordinator.ErrPrimaryChanged},
		"removal": {func(t *testing.T, r *rig) {
			t.Helper()
			_, err := r.BeginRemoval(t.Context(), key())
			require.NoError(t, err)
		}, coordinator.ErrRepositoryNotFound},
		"client has left": {func(t *testing.T, _ *rig) { t.Helper() }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t, coordinator.Config{})
			r.repository(t, path)
			write := r.write(t, coordinator.WriteOptions{})
			tc.meanwhile(t, r)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if errors.Is(tc.want, context.Canceled) {
				cancel()
			}
			_, err := write.TakeTurn(ctx)
			require.ErrorIs(t, err, tc.want)
			require.ErrorIs(t, write.Record(t.Context(), kept(1, "a")), coordinator.ErrNoTurn)
			finish(t, write, coordinator.Result{}, coordinator.OutcomeNone)
		})
	}
}

func TestTurnWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, coordinator.Config{})
		r.repository(t, path)
		holder := r.write(t, coordinator.WriteOptions{})
		waiter := r.write(t, coordinator.WriteOptions{})
		_, err := holder.TakeTurn(t.Context())
		require.NoError(t, err)
		require.False(t, holder.Contended())
		bounded, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = waiter.TakeTurn(bounded)
		require.ErrorIs(t, err, coordinator.ErrBusy)

		waiting := make(chan error)
		go func() {
			_, err := waiter.TakeTurn(t.Context())
			waiting <- err
		}()
		synctest.Wait()
		require.True(t, holder.Contended())
		holder.ReleaseTurn(t.Context())
		holder.ReleaseTurn(t.Context())
		require.NoError(t, <-waiting)
		finish(t, holder, coordinator.Result{}, coordinator.OutcomeNone)
		finish(t, waiter, coordinator.Result{}, coordinator.OutcomeNone)
	})
}

// TestTurnHeld has writes that hold the turn from the start.
func TestTurnHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, coordinator.Config{})
		r.repository(t, path)
		held := coordinator.WriteOptions{Turn: transaction.GateHeld}
		first := r.write(t, held)
		begin := time.Now()
		_, err := r.BeginWrite(t.Context(), key(), held)
		require.ErrorIs(t, err, coordinator.ErrBusy)
		require.Equal(t, 10*time.Second, time.Since(begin))

		require.NoError(t, first.Record(t.Context(), kept(1, "a", "c")))
		finish(t, first, success(), coordinator.OutcomeRecorded)
		second := r.write(t, held)
		require.Equal(t, []coordinator.Storage{"c"}, second.Plan().Secondaries)
		finish(t, second, coordinator.Result{}, coordinator.OutcomeNone)
	})
}

// TestTurnHeldNarrows has another process leave a replica behind that the cached route still has.
func TestTurnHeldNarrows(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	require.Len(t, r.readers(t), 3)
	other := setupOn(t, r.store, coordinator.Config{})
	write := other.write(t, coordinator.WriteOptions{})
	commit(t, write, "a", "b")
	finish(t, write, success(), coordinator.OutcomeRecorded)

	held := r.write(t, coordinator.WriteOptions{Turn: transaction.GateHeld})
	require.Equal(t, []coordinator.Storage{"b"}, held.Plan().Secondaries)
	finish(t, held, coordinator.Result{}, coordinator.OutcomeNone)

	write = other.write(t, coordinator.WriteOptions{})
	commit(t, write, "a")
	finish(t, write, success(), coordinator.OutcomeRecorded)
	_, err := r.BeginWrite(t.Context(), key(), coordinator.WriteOptions{Turn: transaction.GateHeld})
	require.ErrorIs(t, err, coordinator.ErrTooFewCopies)
}

// TestWritesOrdered lets many writers at one repository: every record finds its base.
func TestWritesOrdered(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	const writers, each = 16, 10
	var (
		group  errgroup.Group
		inside sync.Mutex
	)
	for range writers {
		group.Go(func() error {
			for range each {
				write, err := r.BeginWrite(t.Context(), key(), coordinator.WriteOptions{})
				if err != nil {
					return err
				}
				if _, err := write.TakeTurn(t.Context()); err != nil {
					return err
				}
				if !inside.TryLock() {
					return errors.New("two writes hold the turn")
				}
				write.Committing()
				inside.Unlock()
				if err := write.Record(t.Context(), kept(1, "a", "b", "c")); err != nil {
					return err
				}
				if _, err := write.Finish(t.Context(), success()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, coordinator.Generation(writers*each), r.load(t).Generation)
	require.Len(t, r.current(t), 3)
	require.Len(t, r.readers(t), 3, "no commit window is left open")
}
