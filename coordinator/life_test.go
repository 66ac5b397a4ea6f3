package coordinator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"praefect/coordinator"
	"praefect/transaction"
)

func (r *rig) create(
	t *testing.T, options coordinator.CreationOptions,
) *coordinator.Write {
	t.Helper()
	write, err := r.BeginCreation(t.Context(), key(), options)
	require.NoError(t, err)
	return write
}

func (r *rig) removals(t *testing.T) []coordinator.Repository {
	t.Helper()
	removals, err := r.store.ClaimRemovals(t.Context(), coordinator.RemovalRequest{
		Limit: 10, TTL: time.Hour, Keep: time.Minute,
	})
	require.NoError(t, err)
	return removals
}

func TestCreation(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	write := r.create(t, coordinator.CreationOptions{})
	plan := write.Plan()
	require.True(t, plan.Creation)
	require.Len(t, plan.Secondaries, 2)
	require.NotContains(t, plan.Secondaries, plan.Primary)
	require.Equal(t, 2, plan.MinimumCopies)
	require.Equal(t, coordinator.ReplicaPath(plan.Repository, path), plan.ReplicaPath)
	require.Positive(t, plan.Repository)

	exists, err := r.Exists(t.Context(), key())
	require.NoError(t, err)
	require.False(t, exists, "it is visible to nobody")
	_, err = r.BeginWrite(t.Context(), key(), coordinator.WriteOptions{})
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
	_, err = r.BeginCreation(t.Context(), key(), coordinator.CreationOptions{})
	require.ErrorIs(t, err, coordinator.ErrRepositoryExists)

	write.Committing()
	raise := []transaction.Voter{
		transaction.Voter(plan.Primary), transaction.Voter(plan.Secondaries[1]),
	}
	require.NoError(t, write.Record(t.Context(), kept(1, raise...)))
	finish(t, write, success(), coordinator.OutcomeRecorded)
	require.Len(t, r.current(t), 2)
	require.Equal(t, plan.Primary, r.load(t).Primary)
	require.Equal(t, []coordinator.Storage{plan.Secondaries[0]}, r.due(t))
}

// TestCreationFails leaves nothing but what a worker removes.
func TestCreationFails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		record  bool
		running []transaction.Voter
		want    int
	}{
		"before anything":               {want: 1},
		"after a record":                {record: true, want: 1},
		"while a node is still at work": {running: []transaction.Voter{"b"}, want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t, coordinator.Config{})
			write := r.create(t, coordinator.CreationOptions{})
			result := coordinator.Result{Running: tc.running}
			if tc.record {
				write.Committing()
				require.NoError(t, write.Record(t.Context(), kept(1,
					transaction.Voter(write.Plan().Primary))))
				result.Votes = transaction.Summary{Prepared: true, Recorded: 1}
			}
			finish(t, write, result, coordinator.OutcomeNone)
			removals := r.removals(t)
			require.Len(t, removals, tc.want)

			again := r.create(t, coordinator.CreationOptions{})
			require.NotEqual(t, write.Plan().ReplicaPath, again.Plan().ReplicaPath)
			finish(t, again, coordinator.Result{
				PrimaryOK: true, OK: []transaction.Voter{"a", "b", "c"},
			}, coordinator.OutcomeRecorded)
			require.Len(t, r.current(t), 3)
		})
	}
}

// TestCreationUnanswered takes a path by a statement whose answer is lost: the client is told that
// nothing was created, and the path is free again soon.
func TestCreationUnanswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, coordinator.Config{})
		defer r.run(t)()
		r.store.set(func(s *store) { s.unanswered = 1 })
		_, err := r.BeginCreation(t.Context(), key(), coordinator.CreationOptions{})
		require.ErrorIs(t, err, coordinator.ErrMetadataUnavailable)
		<-time.After(time.Second)
		require.Len(t, r.removals(t), 1)
		finish(t, r.create(t, coordinator.CreationOptions{}), coordinator.Result{
			PrimaryOK: true, OK: []transaction.Voter{"a", "b", "c"},
		}, coordinator.OutcomeRecorded)
	})
}

// TestCreationNotVoted ends well on the primary, while its votes were lost.
func TestCreationNotVoted(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	write := r.create(t, coordinator.CreationOptions{})
	outcome, err := write.Finish(t.Context(), coordinator.Result{
		Votes: transaction.Summary{Prepared: true, LostRounds: 1}, PrimaryOK: true,
	})
	require.ErrorIs(t, err, coordinator.ErrCreationUndone)
	require.Equal(t, coordinator.OutcomeNone, outcome)
	exists, err := r.Exists(t.Context(), key())
	require.NoError(t, err)
	require.False(t, exists)
}

// TestCreationRace has two clients create the same path: one of them is told at once.
func TestCreationRace(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	results := make(chan *coordinator.Write, 2)
	var group errgroup.Group
	for range 2 {
		group.Go(func() error {
			write, err := r.BeginCreation(t.Context(), key(), coordinator.CreationOptions{})
			if err == nil {
				results <- write
			}
			return err
		})
	}
	require.ErrorIs(t, group.Wait(), coordinator.ErrRepositoryExists)
	require.Len(t, results, 1)
	finish(t, <-results, coordinator.Result{}, coordinator.OutcomeNone)
}

func TestCreationPlacement(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{}, func(c *coordinator.VirtualStorageConfig) {
		c.DefaultReplicationFactor = 2
	})
	r.health.set("b")
	write := r.create(t, coordinator.CreationOptions{})
	require.Len(t, write.Plan().Secondaries, 1)
	require.NotContains(t, write.Plan().Secondaries, coordinator.Storage("b"))
	finish(t, write, coordinator.Result{}, coordinator.OutcomeNone)

	r.health.set()
	other := r.repository(t, "other.git")
	beside := coordinator.Key{VirtualStorage: virtual, RelativePath: "other.git"}
	write = r.create(t, coordinator.CreationOptions{Additional: &beside})
	require.Equal(t, coordinator.Storage("a"), write.Plan().Primary)
	require.Equal(t, []coordinator.Storage{"b", "c"}, write.Plan().Secondaries)
	require.Equal(t, coordinator.ReplicaPath(other, "other.git"),
		write.Plan().AdditionalReplicaPath)
	finish(t, write, coordinator.Result{}, coordinator.OutcomeNone)

	r.health.set("a")
	write = r.create(t, coordinator.CreationOptions{Additional: &beside})
	require.NotEqual(t, coordinator.Storage("a"), write.Plan().Primary, "that one elects first")
	finish(t, write, coordinator.Result{}, coordinator.OutcomeNone)

	unknown := coordinator.Key{VirtualStorage: virtual, RelativePath: "unknown.git"}
	_, err := r.BeginCreation(t.Context(), key(), coordinator.CreationOptions{Additional: &unknown})
	require.ErrorIs(t, err, coordinator.ErrAdditionalRepositoryNotFound)
	r.health.set("a", "b", "c")
	_, err = r.BeginCreation(t.Context(), key(), coordinator.CreationOptions{})
	require.ErrorIs(t, err, coordinator.ErrNoHealthyNode)
}

func TestUpsert(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	upsert := coordinator.CreationOptions{Upsert: &coordinator.WriteOptions{}}
	write := r.create(t, upsert)
	require.True(t, write.Plan().Creation)
	_, err := r.BeginCreation(t.Context(), key(), upsert)
	require.ErrorIs(t, err, coordinator.ErrRepositoryExists, "while it is being created")
	finish(t, write, coordinator.Result{PrimaryOK: true, OK: []transaction.Voter{"a", "b", "c"}},
		coordinator.OutcomeRecorded)

	again := r.create(t, upsert)
	require.False(t, again.Plan().Creation)
	require.Equal(t, write.Plan().Repository, again.Plan().Repository)
	commit(t, again, transaction.Voter(again.Plan().Primary), "a", "b", "c")
	finish(t, again, success(), coordinator.OutcomeRecorded)
}

// TestCreationOutlived has a process die that creates a repository, beside one that lives on.
func TestCreationOutlived(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	dead := setupOn(t, r.store, coordinator.Config{})
	write := r.create(t, coordinator.CreationOptions{})
	orphan, err := dead.BeginCreation(t.Context(),
		coordinator.Key{VirtualStorage: virtual, RelativePath: "dead.git"},
		coordinator.CreationOptions{})
	require.NoError(t, err)
	require.Empty(t, r.removals(t))

	dead.die(t)
	removals := r.removals(t)
	require.Len(t, removals, 1)
	require.Equal(t, orphan.Plan().Repository, removals[0].ID)
	finish(t, write, coordinator.Result{
		PrimaryOK: true, OK: []transaction.Voter{"a", "b", "c"},
	}, coordinator.OutcomeRecorded)

	outcome, err := orphan.Finish(t.Context(), coordinator.Result{PrimaryOK: true})
	require.ErrorIs(t, err, coordinator.ErrCreationUndone, "it is being removed already")
	require.NotErrorIs(t, err, coordinator.ErrOutcomeUnknown)
	require.Equal(t, coordinator.OutcomeNone, outcome)
	_, err = dead.BeginCreation(t.Context(), key(), coordinator.CreationOptions{})
	require.ErrorIs(t, err, coordinator.ErrLeaseLost)
}

func TestRemoval(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	id := r.repository(t, path)
	require.Len(t, r.readers(t), 3)
	removal, err := r.BeginRemoval(t.Context(), key())
	require.NoError(t, err)
	require.Equal(t, id, removal.Repository.ID)
	require.Len(t, removal.Repository.Replicas, 3)
	_, err = r.Read(t.Context(), key(), coordinator.ReadOptions{})
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound, "it is invisible at once")
	_, err = r.BeginRemoval(t.Context(), key())
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)

	write := r.create(t, coordinator.CreationOptions{})
	finish(t, write, coordinator.Result{}, coordinator.OutcomeNone)
	require.NoError(t, removal.Removed(t.Context(), []coordinator.Storage{"a", "b"}))
	require.NoError(t, removal.Removed(t.Context(), []coordinator.Storage{"c"}))
	_, err = r.store.Load(t.Context(), id)
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
	<-r.RemovalDue()
}

// TestRemovalTakesTheTurn waits for a write that is between its commit and its record.
func TestRemovalTakesTheTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, coordinator.Config{})
		r.repository(t, path)
		write := r.held(t)
		removed := make(chan error)
		go func() {
			_, err := r.BeginRemoval(t.Context(), key())
			removed <- err
		}()
		synctest.Wait()
		require.NoError(t, write.Record(t.Context(), kept(1, "a", "b", "c")))
		require.NoError(t, <-removed)
		finish(t, write, success(), coordinator.OutcomeRecorded)
	})
}
