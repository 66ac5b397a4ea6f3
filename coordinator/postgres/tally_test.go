package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/coordinator/postgres"
	"praefect/test/pgtest"
)

func places(storages ...coordinator.Storage) []coordinator.Place {
	var all []coordinator.Place
	for _, storage := range storages {
		all = append(all, coordinator.Place{VirtualStorage: "default", Storage: storage})
	}
	return all
}

// track makes a repository on the first of its storages alone.
func track(
	t testing.TB, store *postgres.Store, id coordinator.RepositoryID,
	storages ...coordinator.Storage,
) {
	t.Helper()
	path := fmt.Sprintf("%d.git", id)
	require.NoError(t, store.Track(t.Context(), coordinator.Tracking{
		ID: id, Key: coordinator.Key{VirtualStorage: "default", RelativePath: path},
		ReplicaPath: path, Primary: storages[0], Present: storages[:1], Assigned: storages,
	}))
}

func unavailable(
	t *testing.T, store *postgres.Store, healthy ...coordinator.Storage,
) int64 {
	t.Helper()
	tallies, err := store.TallyUnavailable(t.Context(), places(healthy...))
	require.NoError(t, err)
	if len(tallies) == 0 {
		return 0
	}
	require.Len(t, tallies, 1)
	require.Equal(t, coordinator.VirtualStorage("default"), tallies[0].VirtualStorage)
	return tallies[0].Number
}

// TestTallyUnavailable counts repositories whose current replicas are all on sick storages, whether
// or not other storages have, or should have, outdated ones.
func TestTallyUnavailable(t *testing.T) {
	t.Parallel()
	store := open(t, pgtest.Migrated(t))
	require.Zero(t, unavailable(t, store, "a"), "there is nothing")
	track(t, store, 1, "a", "b", "c") // current on a, b and c are to be repaired
	track(t, store, 2, "b")
	track(t, store, 3, "c")

	require.Zero(t, unavailable(t, store, "a", "b", "c"))
	require.EqualValues(t, 1, unavailable(t, store, "a", "b"))
	require.EqualValues(t, 2, unavailable(t, store, "b"))
	require.EqualValues(t, 2, unavailable(t, store, "c"))
	require.EqualValues(t, 3, unavailable(t, store))
}

func TestTallies(t *testing.T) {
	t.Parallel()
	store := open(t, pgtest.Migrated(t))
	enlist(t, store)
	track(t, store, 1, "a", "b", "c")
	track(t, store, 2, "a", "b")

	repairs, err := store.TallyRepairs(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []coordinator.Tally{
		{Place: places("b")[0], State: "ready", Number: 2},
		{Place: places("c")[0], State: "ready", Number: 1},
	}, repairs)
	claims, err := store.ClaimRepairs(t.Context(), coordinator.RepairRequest{
		Claim: 5, TTL: time.Minute, Targets: []coordinator.RepairTarget{
			{VirtualStorage: "default", Storage: "c", Limit: 1},
		},
	})
	require.NoError(t, err)
	require.Len(t, claims, 1)
	repairs, err = store.TallyRepairs(t.Context())
	require.NoError(t, err)
	require.Contains(t, repairs,
		coordinator.Tally{Place: places("c")[0], State: "in_progress", Number: 1})

	audits, err := store.TallyAudits(t.Context(), places("a", "b"), time.Hour)
	require.NoError(t, err)
	require.Equal(t, []coordinator.Tally{
		{Place: places("a")[0], State: "unverified", Number: 2},
	}, audits, "what is not there yet need not be looked for")

	_, err = store.OpenTurn(t.Context(), coordinator.Intent{
		Write: 1, Repository: 1, Incarnation: self, Kind: "references",
		Participants: []coordinator.Storage{"a"},
	})
	require.NoError(t, err)
	work, err := store.TallyWork(t.Context())
	require.NoError(t, err)
	found := map[string]int64{}
	for _, tally := range work {
		found[tally.State] = tally.Number
	}
	require.Len(t, found, 8)
	require.EqualValues(t, 1, found[coordinator.TallyHeld])
	require.Zero(t, found[coordinator.TallyLeft])
	require.EqualValues(t, 1, found[coordinator.TallyProxies])
	require.Less(t, found[coordinator.TallyOldest], time.Minute.Milliseconds())
}
