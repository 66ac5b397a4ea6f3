package transaction

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDecidedRoundsAreDropped checks that memory does not grow with the number of rounds.
func TestDecidedRoundsAreDropped(t *testing.T) {
	t.Parallel()
	tx, err := New(Config{
		Primary: "p", Secondaries: []Voter{"s1", "s2"}, MinimumCopies: 2, Gate: GateNone,
	})
	require.NoError(t, err)
	for range 100_000 {
		for _, name := range []Voter{"p", "s1", "s2"} {
			_, err := tx.Cast(name, Synchronized, Vote{1})
			require.NoError(t, err)
		}
		require.Len(t, tx.Ready().Answers, 3)
	}
	require.Equal(t, uint64(100_000), tx.rounds.frontier())
	require.Empty(t, tx.rounds.kept)
	require.LessOrEqual(t, cap(tx.rounds.kept), 4)
}

// TestStragglerKeepsOnlyItsRounds checks that rounds are kept for a straggler and dropped as it
// passes them.
func TestStragglerKeepsOnlyItsRounds(t *testing.T) {
	t.Parallel()
	tx, err := New(Config{
		Primary: "p", Secondaries: []Voter{"s1"}, MinimumCopies: 1, Gate: GateNone,
	})
	require.NoError(t, err)
	const behind = 1000
	cast := func(name Voter, n int) {
		_, err := tx.Cast(name, Synchronized, Vote{byte(n), byte(n >> 8)})
		require.NoError(t, err)
		answers := tx.Ready().Answers
		require.Len(t, answers, 1)
		require.Equal(t, Commit, answers[0].Decision)
	}
	for n := range 10 * behind {
		cast("p", n)
		if n >= behind {
			cast("s1", n-behind)
			require.Equal(t, behind, len(tx.rounds.kept)-tx.rounds.head)
			require.LessOrEqual(t, cap(tx.rounds.kept), 4*behind)
		}
	}
	tx.Lost("s1")
	require.Empty(t, tx.rounds.kept)
}

// TestDroppedRoundIsLost checks the answer that no caller should ever get.
func TestDroppedRoundIsLost(t *testing.T) {
	t.Parallel()
	var h history
	h.push(round{phase: Prepared})
	h.drop(1)
	require.True(t, h.at(0).lost)
	require.True(t, h.at(7).lost)
}
