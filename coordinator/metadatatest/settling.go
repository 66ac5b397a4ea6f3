package metadatatest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

func settlingTests() map[string]func(*testing.T, coordinator.Store) {
	return map[string]func(*testing.T, coordinator.Store){
		"settle":                testSettle,
		"settle and resolve":    testSettleResolve,
		"settle although kept":  testSettleKept,
		"settle never shortens": testSettleNeverShortens,
		"settle and repair":     testSettleRepair,
		"restore":               testRestore,
		"restore what is there": testRestoreKept,
		"restore and repair":    testRestoreRepair,
	}
}

func settling(
	duration time.Duration, storages ...coordinator.Storage,
) coordinator.Settling {
	return coordinator.Settling{Storages: storages, For: duration}
}

// testSettle has a replica whose repair knows that its node may still act, and that is compared
// when it does nothing any more.
func testSettle(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := outdated(t, store, "repository.git")
	require.NoError(t, store.Settle(t.Context(), repository.ID, settling(keep, third)))
	require.Equal(t, repository, load(t, store, repository.ID))
	requireSettling(t, true, claimAll(t, store, 0, all()...))
	require.Empty(t, claimVerifications(t, store))

	require.EventuallyWithT(t, func(c *assert.CollectT) {
		verifications, err := store.ClaimVerifications(t.Context(), 10, long)
		require.NoError(c, err)
		require.Len(c, verifications, 1)
		require.True(c, verifications[0].Doubtful)
	}, patience, tick)
	requireSettling(t, false, claimAll(t, store, long, third))

	require.ErrorIs(t, store.Settle(t.Context(), newID(), settling(0, third)),
		coordinator.ErrRepositoryNotFound)
	require.NoError(t, store.Settle(t.Context(), newID(), settling(0)), "nothing settles")
}

// testSettleResolve has a recovery after which two nodes may act; of one the end is known.
func testSettleResolve(t *testing.T, store coordinator.Store) {
	t.Helper()
	for name, resolve := range map[string]func(
		coordinator.Adoption, coordinator.Incarnation,
	) coordinator.Resolution{"decided": keepAll, "nothing in doubt": keepNothing} {
		repository := record(t, store, write(t, store, ready(t, store, name+".git"), first))
		adoption := left(t, store, repository)
		require.NoError(t, store.MarkTurn(t.Context(), repository.ID, adoption.Write,
			[]coordinator.Storage{second}))
		resolution := resolve(adoption, other)
		resolution.Settling = settling(keep, second, third)
		_, err := store.Resolve(t.Context(), resolution)
		require.NoError(t, err, name)
		settles := map[coordinator.Storage]bool{}
		for _, claim := range claimAll(t, store, 0, all()...) {
			settles[claim.Storage] = claim.Settling
		}
		require.Equal(t, map[coordinator.Storage]bool{second: false, third: true}, settles, name)
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			verifications, err := store.ClaimVerifications(t.Context(), 10, long)
			require.NoError(c, err)
			require.Len(c, verifications, 1)
			require.True(c, verifications[0].Doubtful)
		}, patience, tick)
		claims := claimAll(t, store, long, third)
		require.Len(t, claims, 1)
		require.False(t, claims[0].Settling)
	}
}

// testSettleKept has a replica kept whose node has ended by the time of the decision, but nobody
// knows whether that was before it was asked: it settles like one that may still act.
func testSettleKept(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	adoption := left(t, store, repository)
	require.NoError(t, store.MarkTurn(t.Context(), repository.ID, adoption.Write,
		[]coordinator.Storage{second, third}))
	resolution := keepAll(adoption, other)
	resolution.Keep = []coordinator.Storage{first, second}
	resolution.Settling = settling(keep, second, third)
	_, err := store.Resolve(t.Context(), resolution)
	require.NoError(t, err)
	require.Len(t, claimAll(t, store, long, third), 1, "it is outdated, and at rest")
	require.Empty(t, claimVerifications(t, store))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		verifications, err := store.ClaimVerifications(t.Context(), 10, long)
		require.NoError(c, err)
		require.Len(c, verifications, 1)
		require.True(c, verifications[0].Doubtful)
	}, patience, tick)
}

func testSettleNeverShortens(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := outdated(t, store, "repository.git")
	require.NoError(t, store.Settle(t.Context(), repository.ID, settling(long, third)))
	require.NoError(t, store.Settle(t.Context(), repository.ID, settling(0, third)))
	requireSettling(t, true, claimAll(t, store, long, third))
	verifications := claimVerifications(t, store)
	require.Len(t, verifications, 1, "the earlier comparison is due")
	require.NoError(t, store.Verified(t.Context(), verifications[0]))
	require.Empty(t, claimVerifications(t, store), "the later one is due then")
}

// requireSettling demands one claim, which says whether its replica settles.
func requireSettling(t *testing.T, settling bool, claims []coordinator.RepairClaim) {
	t.Helper()
	require.Len(t, claims, 1)
	require.Equal(t, settling, claims[0].Settling)
}

// testSettleRepair has replicas outdated and settling: they are claimed, and it is said that they
// settle. Those of a pool wait.
func testSettleRepair(t *testing.T, store coordinator.Store) {
	t.Helper()
	pool := "@pools/aa/bb/aabb" + strings.Repeat("0", 60) + ".git"
	for path, want := range map[string]int{"group/project.git": 2, pool: 0} {
		repository := record(t, store, write(t, store, ready(t, store, path), first))
		require.NoError(t, store.Settle(t.Context(), repository.ID,
			settling(long, second, third)))
		claims := claimAll(t, store, long, all()...)
		require.Len(t, claims, want, path)
		for _, claim := range claims {
			require.True(t, claim.Settling)
		}
	}
}
