package registry

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"praefect/transaction"
)

func TestIDs(t *testing.T) {
	t.Parallel()
	seen := map[uint64]bool{}
	for range 10_000 {
		id, err := randomID()
		require.NoError(t, err)
		require.NotZero(t, id)
		require.Zero(t, id>>63)
		require.False(t, seen[id])
		seen[id] = true
	}
}

func TestIDIsNotGivenTwice(t *testing.T) {
	t.Parallel()
	r, err := New(prometheus.NewRegistry(), zap.NewNop(), Config{})
	require.NoError(t, err)
	first, second := &Live{}, &Live{}
	require.True(t, r.insert(65, first))
	require.True(t, r.insert(1, second), "the same shard")
	require.False(t, r.insert(65, second))
	require.Equal(t, uint64(1), second.id)

	found, err := r.find(65)
	require.NoError(t, err)
	require.Same(t, first, found)
	r.remove(65)
	_, err = r.find(65)
	require.ErrorIs(t, err, ErrNotFound)
}

// TestOneSlowWriteChangesLittle checks that a lag is cut before it is weighed.
func TestOneSlowWriteChangesLittle(t *testing.T) {
	t.Parallel()
	l := newLags(Config{}.WithDefaults())
	l.observe("a", time.Hour)
	require.Equal(t, 300*time.Millisecond, l.grace(&transaction.Grace{
		Write: 1, Voters: []transaction.Voter{"a"},
	}))
}

func TestLagsAreBounded(t *testing.T) {
	t.Parallel()
	l := newLags(Config{}.WithDefaults())
	for i := range 2 * lagNodes {
		l.observe(transaction.Voter([]byte{byte(i), byte(i >> 8)}), 0)
	}
	require.Len(t, l.usual, lagNodes)
}
