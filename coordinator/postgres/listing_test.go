package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/test/pgtest"
)

func TestListings(t *testing.T) {
	t.Parallel()
	store := open(t, pgtest.Migrated(t))
	enlist(t, store)
	require.NoError(t, store.Track(t.Context(), coordinator.Tracking{
		ID:          7,
		Key:         coordinator.Key{VirtualStorage: "default", RelativePath: "a.git"},
		ReplicaPath: "a.git", Primary: "a", Present: []coordinator.Storage{"a"},
		Assigned: []coordinator.Storage{"a", "b"},
	}))
	repairs, err := store.DueRepairs(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, repairs, 1)
	require.Equal(t, coordinator.Storage("b"), repairs[0].Storage)
	require.Equal(t, coordinator.Absent, repairs[0].Generation)
	require.False(t, repairs[0].Running)
	require.LessOrEqual(t, repairs[0].Due.Milliseconds(), int64(0))

	_, err = store.OpenTurn(t.Context(), coordinator.Intent{
		Write: 1, Repository: 7, Incarnation: self, Kind: "references",
		Participants: []coordinator.Storage{"a"},
	})
	require.NoError(t, err)
	turns, err := store.HeldTurns(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, turns, 1)
	require.Equal(t, "references", turns[0].Kind)
	require.Equal(t, []string{"a"}, turns[0].Participants)
	require.Equal(t, "self", turns[0].Proxy)
	require.True(t, turns[0].Lives)
	require.False(t, turns[0].Left)
}
