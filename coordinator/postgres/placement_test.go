package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/coordinator/postgres"
	"praefect/test/pgtest"
)

// configured are the storages of these tests.
func configured(storages ...coordinator.Storage) []coordinator.Place {
	var places []coordinator.Place
	for _, storage := range storages {
		places = append(places, coordinator.Place{VirtualStorage: "default", Storage: storage})
	}
	return places
}

// retiring is a repository that is assigned to a and b and has a current replica on c as well.
func retiring(t *testing.T) *postgres.Store {
	t.Helper()
	return retiringOn(t, pgtest.Migrated(t))
}

func retiringOn(t *testing.T, config postgres.Config) *postgres.Store {
	t.Helper()
	store := open(t, config)
	enlist(t, store)
	require.NoError(t, store.Track(t.Context(), coordinator.Tracking{
		ID:          7,
		Key:         coordinator.Key{VirtualStorage: "default", RelativePath: "a.git"},
		ReplicaPath: "a.git", Primary: "a", Present: []coordinator.Storage{"a", "b", "c"},
		Assigned: []coordinator.Storage{"a", "b", "c"}, Everywhere: true,
	}))
	turn(t, store, 1)
	_, err := store.Assign(t.Context(), coordinator.Assignment{
		Repository: 7, Write: 1, Assigned: []coordinator.Storage{"a", "b"},
		Configured: []coordinator.Storage{"a", "b", "c"},
	})
	require.NoError(t, err)
	return store
}

// turn takes the turn of the repository.
func turn(t *testing.T, store *postgres.Store, write coordinator.WriteID) {
	t.Helper()
	_, err := store.OpenTurn(t.Context(), coordinator.Intent{
		Write: write, Repository: 7, Incarnation: self, Kind: coordinator.KindHold,
	})
	require.NoError(t, err)
}

// retire takes c out of service, if it may be.
func retire(
	t *testing.T, store *postgres.Store, write coordinator.WriteID, grace time.Duration,
) error {
	t.Helper()
	return store.Retire(t.Context(), coordinator.Retirement{
		Repository: 7, Write: write, Storage: "c", Claim: 3, Grace: grace,
		Configured: []coordinator.Storage{"a", "b", "c"}, Keep: time.Minute,
	})
}

func claimRetired(
	t *testing.T, store *postgres.Store, claim coordinator.ClaimID,
) []coordinator.Surplus {
	t.Helper()
	claimed, err := store.ClaimRetired(t.Context(), coordinator.RetiredRequest{
		Claim: claim, Places: configured("a", "b", "c"), TTL: time.Hour, Keep: time.Minute,
		Limit: 10,
	})
	require.NoError(t, err)
	return claimed
}

func surplusOf(t *testing.T, store *postgres.Store) []coordinator.Surplus {
	t.Helper()
	found, err := store.Surplus(t.Context(), 0, 10, configured("a", "b", "c"))
	require.NoError(t, err)
	return found
}

func repairsOf(t *testing.T, store *postgres.Store) int {
	t.Helper()
	claims, err := store.ClaimRepairs(t.Context(), coordinator.RepairRequest{
		Claim: 99, TTL: time.Hour, Targets: []coordinator.RepairTarget{
			{VirtualStorage: "default", Storage: "c", Limit: 1},
		},
	})
	require.NoError(t, err)
	return len(claims)
}

// alter changes rows behind the store's back.
func alter(t *testing.T, config postgres.Config, statement string) {
	t.Helper()
	database, err := config.OpenDB()
	require.NoError(t, err)
	_, err = database.ExecContext(t.Context(), statement)
	require.NoError(t, err)
	require.NoError(t, database.Close())
}

// TestRetirement takes a replica that is not assigned through all steps.
func TestRetirement(t *testing.T) {
	t.Parallel()
	store := retiring(t)
	want := coordinator.Surplus{
		Repository:  7,
		Key:         coordinator.Key{VirtualStorage: "default", RelativePath: "a.git"},
		ReplicaPath: "a.git", Storage: "c",
	}
	require.Equal(t, []coordinator.Surplus{want}, surplusOf(t, store))
	require.ErrorIs(t, retire(t, store, 2, 0), coordinator.ErrSuperseded, "without the turn")

	before, err := store.Load(t.Context(), 7)
	require.NoError(t, err)
	turn(t, store, 2)
	require.NoError(t, retire(t, store, 2, 0))
	after, err := store.Load(t.Context(), 7)
	require.NoError(t, err)
	require.False(t, after.TurnHeld)
	require.Greater(t, after.Invalidated, before.Invalidated, "nobody may read from it any more")
	require.False(t, after.Current("c"))
	require.Equal(t, before.Epoch, after.Epoch)
	require.Empty(t, surplusOf(t, store))

	require.Equal(t, []coordinator.Surplus{want}, claimRetired(t, store, 4))
	require.Empty(t, claimRetired(t, store, 5), "somebody is at it")
	require.NoError(t, store.EndRetirement(t.Context(), 5, want), "another's claim changes nothing")
	require.NoError(t, store.EndRetirement(t.Context(), 4, want))
	after, err = store.Load(t.Context(), 7)
	require.NoError(t, err)
	require.Len(t, after.Replicas, 2)
}

// TestRetirementInGrace: the replica stays on its disk until nobody has a route to it.
func TestRetirementInGrace(t *testing.T) {
	t.Parallel()
	store := retiring(t)
	turn(t, store, 2)
	require.NoError(t, retire(t, store, 2, time.Hour))
	require.Empty(t, claimRetired(t, store, 4))
}

// TestRetirementRefused has every state in which the replica is needed, or somebody may be writing
// to it. The turn is kept, so that its holder gives it back.
func TestRetirementRefused(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]string{
		"it is the last current copy": `UPDATE praefect.replicas SET generation = -1
			WHERE storage <> 'c'`,
		"an assigned replica is behind": `UPDATE praefect.replicas SET generation = -1
			WHERE storage = 'b'`,
		"the primary is behind": `UPDATE praefect.replicas SET generation = -1
			WHERE storage = 'a'`,
		"it leads":                `UPDATE praefect.repositories SET primary_storage = 'c'`,
		"it is assigned again":    `UPDATE praefect.replicas SET assigned = true`,
		"nobody else is assigned": `UPDATE praefect.replicas SET assigned = false`,
		"its repair is running": `UPDATE praefect.replicas SET claim_id = 5,
			claim_ends_at = now() + interval '1 hour' WHERE storage = 'c'`,
		"its repair has just ended": `UPDATE praefect.replicas SET claim_id = 5,
			claim_ends_at = now() - interval '1 second' WHERE storage = 'c'`,
		"its node may act on a write": `UPDATE praefect.replicas
			SET settles_at = now() + interval '1 hour' WHERE storage = 'c'`,
		"the primary is on no configured storage": `UPDATE praefect.replicas SET storage = 'z'
			WHERE storage = 'a'`,
		"the repository is being deleted": `UPDATE praefect.repositories SET state = 'deleting'`,
		"its turn is adopted":             `UPDATE praefect.write_intents SET adopter = 9`,
		"its turn is left to recovery":    `UPDATE praefect.write_intents SET marked = true`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := pgtest.Migrated(t)
			store := retiringOn(t, config)
			turn(t, store, 2)
			alter(t, config, statement)
			require.ErrorIs(t, retire(t, store, 2, 0), coordinator.ErrSuperseded)
			require.Empty(t, claimRetired(t, store, 4))
		})
	}
}

// TestAssignedAgain has an operator assign the storage again at every step. The replica ends as one
// that is due for repair, and no repair begins while a node may still remove it.
func TestAssignedAgain(t *testing.T) {
	t.Parallel()
	again := func(t *testing.T, store *postgres.Store, write coordinator.WriteID) {
		t.Helper()
		turn(t, store, write)
		_, err := store.Assign(t.Context(), coordinator.Assignment{
			Repository: 7, Write: write, Assigned: []coordinator.Storage{"a", "b", "c"},
			Configured: []coordinator.Storage{"a", "b", "c"},
		})
		require.NoError(t, err)
	}
	t.Run("before the claim", func(t *testing.T) {
		t.Parallel()
		store := retiring(t)
		turn(t, store, 2)
		require.NoError(t, retire(t, store, 2, 0))
		again(t, store, 3)
		require.Empty(t, claimRetired(t, store, 4))
		require.Equal(t, 1, repairsOf(t, store))
	})
	t.Run("during the claim", func(t *testing.T) {
		t.Parallel()
		store := retiring(t)
		turn(t, store, 2)
		require.NoError(t, retire(t, store, 2, 0))
		claimed := claimRetired(t, store, 4)
		require.Len(t, claimed, 1)
		again(t, store, 3)
		require.Zero(t, repairsOf(t, store), "its node may be removing it")
		require.NoError(t, store.EndRetirement(t.Context(), 4, claimed[0]))
		require.Equal(t, 1, repairsOf(t, store))
	})
}

// TestEnrolment assigns repositories to a storage that is configured later.
func TestEnrolment(t *testing.T) {
	t.Parallel()
	config := pgtest.Migrated(t)
	store := retiringOn(t, config)
	places := configured("a", "b", "c", "d")
	found, last, err := store.Unenrolled(t.Context(), 0, 10, places)
	require.NoError(t, err)
	require.Empty(t, found, "it has a factor of its own")
	require.Equal(t, coordinator.RepositoryID(7), last)

	alter(t, config, `UPDATE praefect.repositories SET everywhere = true`)
	found, _, err = store.Unenrolled(t.Context(), 0, 10, places)
	require.NoError(t, err)
	require.Equal(t, []coordinator.RepositoryID{7}, found)
	before, err := store.Load(t.Context(), 7)
	require.NoError(t, err)
	for _, want := range []bool{true, true, false} {
		changed, err := store.Enrol(t.Context(), 7, places)
		require.NoError(t, err)
		require.Equal(t, want, changed)
	}
	after, err := store.Load(t.Context(), 7)
	require.NoError(t, err)
	require.Greater(t, after.Invalidated, before.Invalidated)
	require.Len(t, after.Replicas, 4)
	for _, replica := range after.Replicas {
		require.True(t, replica.Assigned)
		require.Equal(t, replica.Storage == "d", replica.Filling,
			"only what is not there yet is no copy that a write has to wait for")
	}
	due, err := store.DueRepairs(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, due, 1, "c is current already")
	require.Equal(t, coordinator.Storage("d"), due[0].Storage)
	found, last, err = store.Unenrolled(t.Context(), last, 10, places)
	require.NoError(t, err)
	require.Empty(t, found)
	require.Zero(t, last, "the end")
}

// TestEnrolmentKeepsWritable adds three storages to three: a repository that gets all of them at
// once could not be written until they are filled.
func TestEnrolmentKeepsWritable(t *testing.T) {
	t.Parallel()
	config := pgtest.Migrated(t)
	store := retiringOn(t, config)
	alter(t, config, `UPDATE praefect.repositories SET everywhere = true`)
	places := configured("a", "b", "c", "d", "e", "f")
	assigned := func() (count int) {
		t.Helper()
		found, err := store.Load(t.Context(), 7)
		require.NoError(t, err)
		for _, replica := range found.Replicas {
			if replica.Assigned {
				count++
			}
		}
		return count
	}
	require.Equal(t, 2, assigned())
	for _, want := range []int{
		3, // c, which is current
		4, // d: three copies of four have to be current, and are
		5, // e: three of five
		5, // f has to wait: it would be four of six
	} {
		_, err := store.Enrol(t.Context(), 7, places)
		require.NoError(t, err)
		require.Equal(t, want, assigned())
	}
	alter(t, config, `UPDATE praefect.replicas SET generation = 0 WHERE storage = 'd'`)
	changed, err := store.Enrol(t.Context(), 7, places)
	require.NoError(t, err)
	require.True(t, changed)
	require.Equal(t, 6, assigned())
}

// TestWalks: each storage is left to one proxy in an interval.
func TestWalks(t *testing.T) {
	t.Parallel()
	store := open(t, pgtest.Migrated(t))
	begin := func(interval, ttl time.Duration) string {
		t.Helper()
		place, due, err := store.BeginWalk(t.Context(), configured("a", "b"), interval, ttl)
		require.NoError(t, err)
		require.Equal(t, due, place.Storage != "")
		return string(place.Storage)
	}
	require.Equal(t, "a", begin(time.Hour, time.Hour))
	require.Equal(t, "b", begin(time.Hour, time.Hour))
	require.Empty(t, begin(time.Hour, time.Hour))
	require.Empty(t, begin(0, time.Hour), "somebody is at both")
	a := coordinator.Place{VirtualStorage: "default", Storage: "a"}
	require.NoError(t, store.EndWalk(t.Context(), a, true))
	require.Empty(t, begin(time.Hour, time.Hour), "it was just searched")
	require.NoError(t, store.EndWalk(t.Context(), a, false))
	require.Equal(t, "a", begin(time.Hour, 0), "it was not searched to its end")
}
