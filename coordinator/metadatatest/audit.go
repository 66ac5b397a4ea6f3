package metadatatest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

func auditTests() map[string]func(*testing.T, coordinator.Store) {
	return map[string]func(*testing.T, coordinator.Store){
		"audits":          testAudits,
		"audit order":     testAuditOrder,
		"audit leases":    testAuditLeases,
		"lose replica":    testLoseReplica,
		"lose last copy":  testLoseLastCopy,
		"lose unassigned": testLoseUnassigned,
		"sweeps":          testSweeps,
	}
}

// audits claims what is to be looked for on some storages.
func audits(
	t *testing.T, store coordinator.Store, ttl time.Duration, storages ...coordinator.Storage,
) []coordinator.Audit {
	t.Helper()
	request := coordinator.AuditRequest{Interval: long, TTL: ttl, Limit: 25}
	for _, storage := range storages {
		request.Places = append(request.Places,
			coordinator.Place{VirtualStorage: virtual, Storage: storage})
	}
	claimed, err := store.ClaimAudits(t.Context(), request)
	require.NoError(t, err)
	return claimed
}

func testAudits(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	claimed := audits(t, store, long, first, second)
	require.Equal(t, []coordinator.Audit{
		{
			Repository: repository.ID, Key: repository.Key, ReplicaPath: repository.ReplicaPath,
			Storage: first, Leads: true,
		},
		{
			Repository: repository.ID, Key: repository.Key, ReplicaPath: repository.ReplicaPath,
			Storage: second,
		},
	}, claimed)
	require.Empty(t, audits(t, store, long, first, second), "somebody is at it")
	require.NoError(t, store.EndAudit(t.Context(), claimed[0], coordinator.AuditEnd{Found: true}))
	require.NoError(t, store.EndAudit(t.Context(), claimed[1], coordinator.AuditEnd{}))
	seen := load(t, store, repository.ID)
	require.WithinDuration(t, time.Now(), seen.Replicas[0].VerifiedAt, time.Minute)
	require.Zero(t, seen.Replicas[1].VerifiedAt)
	require.Len(t, audits(t, store, long, all()...), 2, "one was found just now")

	select1 := coordinator.Selection{VirtualStorage: virtual, Storage: first}
	for _, want := range []int64{1, 0} {
		marked, err := store.Unverify(t.Context(), select1, 10)
		require.NoError(t, err)
		require.Equal(t, want, marked)
	}
	require.Len(t, audits(t, store, long, all()...), 1)
	remove(t, store, repository.ID)
}

// testAuditOrder looks for what was never found first, then for what was found longest ago.
func testAuditOrder(t *testing.T, store coordinator.Store) {
	t.Helper()
	paths := map[coordinator.RepositoryID]string{}
	for _, path := range []string{"1.git", "2.git", "3.git"} {
		paths[ready(t, store, path).ID] = path
	}
	claimed := audits(t, store, long, second)
	require.Len(t, claimed, 3)
	for _, place := range []int{2, 0} { // Number 2 is given back, and still unknown.
		require.NoError(t, store.EndAudit(t.Context(), claimed[place],
			coordinator.AuditEnd{Found: true}))
	}
	require.NoError(t, store.EndAudit(t.Context(), claimed[1], coordinator.AuditEnd{}))
	var order []string
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		next, err := store.ClaimAudits(t.Context(), coordinator.AuditRequest{
			Places:   []coordinator.Place{{VirtualStorage: virtual, Storage: second}},
			Interval: time.Millisecond, TTL: long, Limit: 1,
		})
		require.NoError(c, err)
		for _, audit := range next {
			order = append(order, paths[audit.Repository])
		}
		require.Len(c, order, 3)
	}, patience, tick)
	require.Equal(t, []string{"2.git", "3.git", "1.git"}, order)
}

func testAuditLeases(t *testing.T, store coordinator.Store) {
	t.Helper()
	ready(t, store, "repository.git")
	claimed := audits(t, store, time.Millisecond, first)
	require.Len(t, claimed, 1)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		released, err := store.ReleaseAudits(t.Context(), 10)
		require.NoError(c, err)
		require.Equal(c, claimed, released)
	}, patience, tick)
	again := audits(t, store, long, first)
	require.Equal(t, claimed, again)
	require.NoError(t, store.EndAudit(t.Context(), again[0], coordinator.AuditEnd{Pause: long}))
	require.Empty(t, audits(t, store, long, first), "it is left alone for a while")
	released, err := store.ReleaseAudits(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, released)
}

func testLoseReplica(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	loss := coordinator.Loss{Repository: repository.ID, Storage: first, Primary: second}
	_, err := store.LoseReplica(t.Context(), loss)
	require.ErrorIs(t, err, coordinator.ErrSuperseded, "without the turn")
	loss.Write = hold(t, store, repository.ID).Write
	after, err := store.LoseReplica(t.Context(), loss)
	require.NoError(t, err)
	require.False(t, after.TurnHeld)
	require.Equal(t, []coordinator.Generation{-1, 0, 0}, generations(after))
	require.Equal(t, second, after.Primary)
	require.Equal(t, repository.Epoch+1, after.Epoch)
	require.Greater(t, after.Invalidated, repository.Invalidated)
	require.Empty(t, audits(t, store, long, first), "it is known to be absent")
	claims := claimAll(t, store, long, all()...)
	require.Len(t, claims, 1)
	require.Equal(t, first, claims[0].Storage)
	loss.Write = hold(t, store, repository.ID).Write
	_, err = store.LoseReplica(t.Context(), loss)
	require.ErrorIs(t, err, coordinator.ErrSuperseded, "a repair is writing to it")
}

// testLoseLastCopy keeps the record of a replica that nothing could replace.
func testLoseLastCopy(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	made := record(t, store, write(t, store, repository, first))
	held := hold(t, store, repository.ID)
	for _, primary := range []coordinator.Storage{second, first} {
		_, err := store.LoseReplica(t.Context(), coordinator.Loss{
			Repository: repository.ID, Write: held.Write, Storage: first, Primary: primary,
		})
		require.ErrorIs(t, err, coordinator.ErrSuperseded)
	}
	require.Equal(t, made.Generation, load(t, store, repository.ID).Replicas[0].Generation)
}

func testLoseUnassigned(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	_, err := store.Assign(t.Context(), coordinator.Assignment{
		Repository: repository.ID, Write: hold(t, store, repository.ID).Write,
		Assigned: []coordinator.Storage{first, second}, Configured: all(),
	})
	require.NoError(t, err)
	after, err := store.LoseReplica(t.Context(), coordinator.Loss{
		Repository: repository.ID, Write: hold(t, store, repository.ID).Write, Storage: third,
	})
	require.NoError(t, err)
	require.Len(t, after.Replicas, 2)
	require.Equal(t, repository.Epoch, after.Epoch)
}

func testSweeps(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	for want := 1; want <= 3; want++ {
		count, err := store.CountSweep(t.Context(), repository.ID)
		require.NoError(t, err)
		require.Equal(t, want, count)
	}
	_, err := store.CountSweep(t.Context(), newID())
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
}
