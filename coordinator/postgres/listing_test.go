package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/coordinator/postgres"
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
	repairs, err := store.DueRepairs(t.Context(), configured("a"), 10)
	require.NoError(t, err)
	require.Empty(t, repairs, "nobody repairs what is on a storage that is not configured")
	repairs, err = store.DueRepairs(t.Context(), configured("a", "b"), 10)
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

func TestLeaders(t *testing.T) {
	t.Parallel()
	store := open(t, pgtest.Migrated(t))
	enlist(t, store)
	for i, tracked := range []struct{ virtual, primary string }{
		{"default", "a"},
		{"default", "b"},
		{"default", "gone"},
		{"default", "lost"},
		{"other", "c"},
	} {
		path := string(rune('1' + i))
		present := []coordinator.Storage{coordinator.Storage(tracked.primary)}
		if tracked.primary == "gone" {
			present = append(present, "c", "d")
		}
		require.NoError(t, store.Track(t.Context(), coordinator.Tracking{
			ID: coordinator.RepositoryID(i + 1),
			Key: coordinator.Key{
				VirtualStorage: coordinator.VirtualStorage(tracked.virtual),
				RelativePath:   path + ".git",
			},
			ReplicaPath: "@cluster/" + path, Primary: present[0], Present: present,
			Assigned: present,
		}))
	}
	configured := []coordinator.Storage{"a", "b", "c", "d", "e"}
	leaders, err := store.Leaders(t.Context(), "default", configured)
	require.NoError(t, err)
	require.Equal(t, []coordinator.Storage{"", "a", "b", "c"}, leaders)

	known, err := store.Known(t.Context(), "default", configured,
		[]string{"@cluster/1", "@cluster/3", "@cluster/4", "@cluster/5", "1.git"})
	require.NoError(t, err)
	require.ElementsMatch(t, []postgres.Known{
		{ReplicaPath: "@cluster/1", RelativePath: "1.git", Leader: "a"},
		{ReplicaPath: "@cluster/3", RelativePath: "3.git", Leader: "c"},
		{ReplicaPath: "@cluster/4", RelativePath: "4.git", Leader: ""},
	}, known)
}
