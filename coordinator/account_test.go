package coordinator_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/transaction"
)

// Note implements [coordinator.Journal].
func (r *rig) Note(entry coordinator.Entry) {
	r.noted.Lock()
	defer r.noted.Unlock()
	r.entries = append(r.entries, entry)
}

// journal returns what was noted and forgets it.
func (r *rig) journal() []coordinator.Entry {
	r.noted.Lock()
	defer r.noted.Unlock()
	entries := r.entries
	r.entries = nil
	return entries
}

// voted is the summary of a vote of a, b and c.
func voted(evidence ...transaction.Evidence) transaction.Summary {
	summary := transaction.Summary{Prepared: true, Recorded: 1}
	for i, voter := range []transaction.Voter{"a", "b", "c"} {
		votes := uint64(3)
		if evidence[i] == transaction.Untouched {
			votes = 0
		}
		summary.Voters = append(summary.Voters, transaction.VoterSummary{
			Voter: voter, Evidence: evidence[i], Votes: votes,
		})
	}
	return summary
}

// TestJournalOfAgreement: a write on which all agree is noted, and is nothing to look at.
func TestJournalOfAgreement(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	write := r.write(t, coordinator.WriteOptions{
		Kind: "references", Caller: coordinator.Caller{Method: "/m", Correlation: "c-1"},
	})
	commit(t, write, "a", "b", "c")
	result := success()
	result.Votes = voted(transaction.Confirmed, transaction.Confirmed, transaction.Confirmed)
	result.Transaction = 7
	finish(t, write, result, coordinator.OutcomeRecorded)

	entries := r.journal()
	require.Len(t, entries, 1)
	require.False(t, entries[0].Notable)
	require.Equal(t, key(), entries[0].Key)
	part := func(storage coordinator.Storage, role string) coordinator.EntryReplica {
		return coordinator.EntryReplica{
			Storage: storage, Role: role, Votes: 3, Evidence: "confirmed",
			Became: coordinator.BecameCurrent,
		}
	}
	require.Equal(t, coordinator.EntryDetails{
		Kind: "references", Method: "/m", Correlation: "c-1", Transaction: 7,
		Outcome: "recorded", Writes: 1, Generation: 1, Primary: "a",
		Replicas: []coordinator.EntryReplica{
			part("a", "primary"), part("b", "secondary"), part("c", "secondary"),
		},
	}, entries[0].Details)
}

// TestJournalOfReplicasLeftBehind says for each way to fall behind which words are told.
func TestJournalOfReplicasLeftBehind(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		evidence transaction.Evidence
		failure  error
		want     string
	}{
		"uncertain": {
			evidence: transaction.Uncertain,
			want:     "its node agreed, was told to commit, and did not confirm in time",
		},
		"uncertain after a failure": {
			evidence: transaction.Uncertain, failure: errors.New("connection reset"),
			want: "its node agreed, was told to commit, and did not confirm in time; " +
				"its call failed: connection reset",
		},
		"dissent": {
			evidence: transaction.Dissented,
			want:     "its node voted for something else than the primary",
		},
		"silent": {evidence: transaction.Untouched, want: "its node never voted"},
		"late": {
			evidence: transaction.Confirmed,
			want:     "its node confirmed only after the outcome was recorded",
		},
		"abandoned": {
			evidence: transaction.Abandoned,
			want:     "Git on its node gave up without a word after it had agreed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t, coordinator.Config{})
			r.repository(t, path)
			write := r.write(t, coordinator.WriteOptions{})
			commit(t, write, "a", "b")
			result := success()
			result.Votes = voted(transaction.Confirmed, transaction.Confirmed, tc.evidence)
			if tc.failure != nil {
				result.Failures = map[transaction.Voter]error{"c": tc.failure}
			}
			finish(t, write, result, coordinator.OutcomeRecorded)

			entries := r.journal()
			require.Len(t, entries, 1)
			require.True(t, entries[0].Notable)
			last := entries[0].Details.Replicas[2]
			require.Equal(t, coordinator.Storage("c"), last.Storage)
			require.Equal(t, coordinator.BecameOutdated, last.Became)
			require.Equal(t, tc.want, last.Reason)
		})
	}
}

// TestJournalOfSickNode: the first write without a node is notable, the ones after it are not, so
// that a node that is away for hours does not push everything else out.
func TestJournalOfSickNode(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	r.health.set("c")
	for i, want := range []struct {
		notable bool
		reason  string
	}{
		{true, "its node was not healthy when the write began"},
		{false, "it was outdated before this write"},
	} {
		write := r.write(t, coordinator.WriteOptions{})
		commit(t, write, "a", "b")
		finish(t, write, success(), coordinator.OutcomeRecorded)
		entries := r.journal()
		require.Len(t, entries, 1)
		require.Equal(t, want.notable, entries[0].Notable, "write %d", i)
		replica := entries[0].Details.Replicas[2]
		require.Equal(t, "left out", replica.Role)
		require.Equal(t, coordinator.BecameOutdated, replica.Became)
		require.Equal(t, want.reason, replica.Reason)
	}
}

// TestJournalOfElection has the primary lost between two writes.
func TestJournalOfElection(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	r.health.set("a")
	write := r.write(t, coordinator.WriteOptions{})
	write.ReleaseTurn(t.Context())
	_, err := write.Finish(t.Context(), coordinator.Result{
		Failures: map[transaction.Voter]error{leading(write): errors.New("refused")},
	})
	require.NoError(t, err)

	entries := r.journal()
	require.Len(t, entries, 2)
	require.Equal(t, coordinator.EventElection, entries[0].Event)
	require.Equal(t, coordinator.Storage("a"), entries[0].Details.Before)
	require.Equal(t, "none", entries[1].Details.Outcome)
	require.Equal(t, "the primary did not succeed", entries[1].Details.Cause)
	require.Equal(t, coordinator.BecameUnchanged, entries[1].Details.Replicas[0].Became)
	require.Equal(t, "its call failed: refused", reasonOf(entries[1], write.Plan().Primary))
}

func leading(write *coordinator.Write) transaction.Voter {
	return transaction.Voter(write.Plan().Primary)
}

func reasonOf(entry coordinator.Entry, storage coordinator.Storage) string {
	for _, replica := range entry.Details.Replicas {
		if replica.Storage == storage {
			return replica.Reason
		}
	}
	return ""
}

// TestJournalOfDoubt has a write whose record fails.
func TestJournalOfDoubt(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{RecordTimeout: 1})
	r.repository(t, path)
	write := r.write(t, coordinator.WriteOptions{})
	_, err := write.TakeTurn(t.Context())
	require.NoError(t, err)
	write.Committing()
	r.store.down = true
	require.Error(t, write.Record(t.Context(), kept(1, "a", "b", "c")))
	_, err = write.Finish(t.Context(), coordinator.Result{
		Votes: transaction.Summary{Prepared: true, Failed: true}, PrimaryOK: true,
	})
	require.ErrorIs(t, err, coordinator.ErrOutcomeUnknown)

	entries := r.journal()
	require.Len(t, entries, 1)
	require.True(t, entries[0].Notable)
	require.Equal(t, "unknown", entries[0].Details.Outcome)
	for _, replica := range entries[0].Details.Replicas {
		require.Equal(t, coordinator.BecameDoubtful, replica.Became)
		require.Equal(t, "recovery compares the replicas and decides", replica.Reason)
	}
}

// TestClipped has texts that no database takes.
func TestClipped(t *testing.T) {
	t.Parallel()
	long := make([]byte, 1000)
	for i := range long {
		long[i] = 0xc3
	}
	entry := coordinator.Entry{Details: coordinator.EntryDetails{
		Cause: "a\x00b\xff", Method: string(long),
		Replicas: []coordinator.EntryReplica{{Reason: "\x00"}},
	}}
	clipped := entry.Clipped()
	require.Equal(t, "a?b?", clipped.Details.Cause)
	require.LessOrEqual(t, len(clipped.Details.Method), 410)
	require.Equal(t, "?", clipped.Details.Replicas[0].Reason)
	require.Equal(t, "\x00", entry.Details.Replicas[0].Reason, "the caller's is left alone")
}
