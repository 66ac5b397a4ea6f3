package coordinator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/transaction"
)

// due lists the replicas that may be repaired now, and claims them.
func (r *rig) due(t *testing.T) []coordinator.Storage {
	t.Helper()
	request := coordinator.RepairRequest{Claim: 1, TTL: time.Hour}
	for _, storage := range []coordinator.Storage{"a", "b", "c"} {
		request.Targets = append(request.Targets, coordinator.RepairTarget{
			VirtualStorage: virtual, Storage: storage, Limit: 1,
		})
	}
	claims, err := r.store.ClaimRepairs(t.Context(), request)
	require.NoError(t, err)
	var due []coordinator.Storage
	for _, claim := range claims {
		due = append(due, claim.Storage)
	}
	return due
}

// unvotedCase is a call that nobody voted on.
type unvotedCase struct {
	options coordinator.WriteOptions
	result  coordinator.Result
	want    coordinator.Outcome
	unknown bool
	current []coordinator.Storage
	// generation and epoch after it.
	generation coordinator.Generation
	epoch      coordinator.Epoch
}

func unvotedCases() map[string]unvotedCase {
	return map[string]unvotedCase{
		"all succeed": {
			result: coordinator.Result{
				PrimaryOK: true, OK: []transaction.Voter{"a", "b", "c"},
			},
			want:    coordinator.OutcomeRecorded,
			current: []coordinator.Storage{"a", "b", "c"}, generation: 1, epoch: 1,
		},
		"a secondary fails": {
			result:  coordinator.Result{PrimaryOK: true, OK: []transaction.Voter{"a", "b"}},
			want:    coordinator.OutcomeRecorded,
			current: []coordinator.Storage{"a", "b"}, generation: 1, epoch: 1,
		},
		"both secondaries fail": {
			result: coordinator.Result{PrimaryOK: true, OK: []transaction.Voter{"a"}},
			want:   coordinator.OutcomeUnknown, unknown: true,
			current: []coordinator.Storage{"a"}, generation: 1, epoch: 1,
		},
		"all fail": {
			want:    coordinator.OutcomeNone,
			current: []coordinator.Storage{"a", "b", "c"}, epoch: 1,
		},
		"the primary fails": {
			options: coordinator.WriteOptions{Turn: transaction.GateHeld},
			result:  coordinator.Result{OK: []transaction.Voter{"b", "c"}},
			want:    coordinator.OutcomeRecorded,
			current: []coordinator.Storage{"b", "c"}, generation: 1, epoch: 2,
		},
		"nothing was asked for": {
			result: coordinator.Result{
				PrimaryOK: true, OK: []transaction.Voter{"a", "b"}, Idle: true,
			},
			want:    coordinator.OutcomeNone,
			current: []coordinator.Storage{"a", "b", "c"}, epoch: 1,
		},
		"it never writes": {
			options: coordinator.WriteOptions{NeverWrites: true},
			result:  coordinator.Result{PrimaryOK: true, OK: []transaction.Voter{"a"}},
			want:    coordinator.OutcomeNone,
			current: []coordinator.Storage{"a", "b", "c"}, epoch: 1,
		},
	}
}

// TestFinishUnvoted has calls that nobody voted on, such as deletions without an old value.
func TestFinishUnvoted(t *testing.T) {
	t.Parallel()
	for name, tc := range unvotedCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t, coordinator.Config{})
			r.repository(t, path)
			write := r.write(t, tc.options)
			outcome, err := write.Finish(t.Context(), tc.result)
			if tc.unknown {
				require.ErrorIs(t, err, coordinator.ErrOutcomeUnknown)
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, tc.want, outcome)
			require.Equal(t, tc.current, r.current(t))
			require.Equal(t, tc.generation, r.load(t).Generation)
			require.Equal(t, tc.epoch, r.load(t).Epoch)

			if len(tc.current) < 2 {
				return
			}
			next := r.write(t, coordinator.WriteOptions{})
			_, err = next.TakeTurn(t.Context())
			require.NoError(t, err, "the turn is free again")
			finish(t, next, coordinator.Result{}, coordinator.OutcomeNone)
		})
	}
}

// TestFinishUnvotedBusy cannot get the turn for what the nodes have done already.
func TestFinishUnvotedBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, coordinator.Config{})
		r.repository(t, path)
		holder, write := r.taken(t), r.write(t, coordinator.WriteOptions{})
		outcome, err := write.Finish(t.Context(), coordinator.Result{PrimaryOK: true})
		require.ErrorIs(t, err, coordinator.ErrOutcomeUnknown)
		require.ErrorIs(t, err, coordinator.ErrBusy)
		require.Equal(t, coordinator.OutcomeUnknown, outcome)
		finish(t, holder, coordinator.Result{}, coordinator.OutcomeNone)
	})
}

// TestFinishUnvotedLapsed has a participant that another write left behind meanwhile: it is no copy
// of this one.
func TestFinishUnvotedLapsed(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	deletion := r.write(t, coordinator.WriteOptions{})
	overtaking := r.write(t, coordinator.WriteOptions{})
	commit(t, overtaking, "a", "b")
	finish(t, overtaking, success(), coordinator.OutcomeRecorded)
	outcome, err := deletion.Finish(t.Context(), coordinator.Result{
		PrimaryOK: true, OK: []transaction.Voter{"a", "c"},
	})
	require.ErrorIs(t, err, coordinator.ErrOutcomeUnknown, "only one copy has it")
	require.Equal(t, coordinator.OutcomeUnknown, outcome)
	require.Equal(t, []coordinator.Storage{"a"}, r.current(t))
}

// TestRepairDelays has replicas left behind whose nodes have ended, were lost, or still run.
func TestRepairDelays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, coordinator.Config{}, func(c *coordinator.VirtualStorageConfig) {
			c.MinimumCopies = 1
		})
		r.repository(t, path)
		write := r.held(t)
		require.NoError(t, write.Record(t.Context(), kept(1, "a")))
		require.Empty(t, r.due(t), "both may still be at work")
		finish(t, write, coordinator.Result{
			Votes: transaction.Summary{Prepared: true, Recorded: 1}, PrimaryOK: true,
			Running: []transaction.Voter{"c"},
		}, coordinator.OutcomeRecorded)
		require.Equal(t, []coordinator.Storage{"b"}, r.due(t))

		write.Drained(t.Context(), []transaction.Voter{"c"})
		require.Empty(t, r.due(t), "what it was told last may just take effect")
		<-time.After(2 * time.Second)
		require.Equal(t, []coordinator.Storage{"c"}, r.due(t))
	})
}

// TestRepairDelaysEnd has a process that forgets to say that a node has ended.
func TestRepairDelaysEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, coordinator.Config{})
		r.repository(t, path)
		write := r.held(t)
		require.NoError(t, write.Record(t.Context(), kept(1, "a", "b")))
		finish(t, write, coordinator.Result{
			Votes: transaction.Summary{Prepared: true, Recorded: 1}, PrimaryOK: true,
			Running: []transaction.Voter{"c"},
		}, coordinator.OutcomeRecorded)
		<-time.After(34 * time.Second)
		require.Empty(t, r.due(t))
		<-time.After(time.Second)
		require.Equal(t, []coordinator.Storage{"c"}, r.due(t))
	})
}
