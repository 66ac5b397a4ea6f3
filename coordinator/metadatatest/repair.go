package metadatatest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"praefect/coordinator"
)

func repairTests() map[string]func(*testing.T, coordinator.Store) {
	return map[string]func(*testing.T, coordinator.Store){
		"claim":                          testClaim,
		"claim order":                    testClaimOrder,
		"claims exclude each other":      testClaimsConcurrent,
		"repair":                         testRepair,
		"repair never lowers":            testRepairNeverLowers,
		"repair overtaken by a write":    testRepairOvertaken,
		"repair and record concurrent":   testRepairRecordConcurrent,
		"repair loses its claim":         testRepairLosesClaim,
		"repair of a deleted repository": testRepairDeleted,
		"repair postponed":               testRepairPostponed,
		"joining":                        testJoining,
		"emptying":                       testEmptying,
	}
}

func testClaim(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := outdated(t, store, "repository.git")
	require.Empty(t, claimAll(t, store, long, first, second))
	elsewhere := coordinator.RepairTarget{VirtualStorage: "other", Storage: third, Limit: 10}
	claims, err := store.ClaimRepairs(t.Context(), coordinator.RepairRequest{
		Claim: newClaim(), TTL: long, Targets: []coordinator.RepairTarget{elsewhere},
	})
	require.NoError(t, err)
	require.Empty(t, claims)

	claims = claimAll(t, store, 0, all()...)
	require.Len(t, claims, 1)
	require.GreaterOrEqual(t, claims[0].Overdue, 0*long)
	claims[0].Overdue = 0
	require.Equal(t, coordinator.RepairClaim{
		ID: claims[0].ID, Repository: repository.ID, Key: repository.Key, Storage: third,
	}, claims[0])

	require.Len(t, claimAll(t, store, long, third), 1, "the first claim has ended")
	require.True(t, load(t, store, repository.ID).Replicas[2].Repairing)
	require.Empty(t, claimAll(t, store, long, third), "the second has not")
}

// testClaimOrder has a pool, a repository with one good copy and one with two.
func testClaimOrder(t *testing.T, store coordinator.Store) {
	t.Helper()
	outdated(t, store, "two-copies.git")
	record(t, store, write(t, store, ready(t, store, "one-copy.git"), first))
	pool := creation("@pools/aa/bb/aabb" + fmt.Sprintf("%060d", 0) + ".git")
	record(t, store, write(t, store, readyFrom(t, store, pool), first, second))

	var order []string
	for range 4 {
		claims, err := store.ClaimRepairs(t.Context(), coordinator.RepairRequest{
			Claim: newClaim(), TTL: long, Targets: []coordinator.RepairTarget{
				{VirtualStorage: virtual, Storage: third, Limit: 1},
				{VirtualStorage: virtual, Storage: second, Limit: 0},
			},
		})
		require.NoError(t, err)
		for _, claim := range claims {
			order = append(order, claim.Key.RelativePath)
		}
	}
	require.Equal(t, []string{pool.Key.RelativePath, "one-copy.git", "two-copies.git"}, order)
}

func testClaimsConcurrent(t *testing.T, store coordinator.Store) {
	t.Helper()
	const repositories, workers = 20, 4
	for i := range repositories {
		outdated(t, store, fmt.Sprintf("%d.git", i))
	}
	var (
		mu    sync.Mutex
		seen  = map[coordinator.RepositoryID]int{}
		group errgroup.Group
	)
	for range workers {
		group.Go(func() error {
			for len(seenCopy(&mu, seen)) < repositories {
				claims, err := store.ClaimRepairs(t.Context(), coordinator.RepairRequest{
					Claim: newClaim(), TTL: long, Targets: []coordinator.RepairTarget{
						{VirtualStorage: virtual, Storage: third, Limit: 3},
					},
				})
				if err != nil {
					return err
				}
				mu.Lock()
				for _, claim := range claims {
					seen[claim.Repository]++
				}
				mu.Unlock()
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	for id, count := range seen {
		require.Equal(t, 1, count, "repository %d was claimed more than once", id)
	}
}

func seenCopy(
	mu *sync.Mutex, seen map[coordinator.RepositoryID]int,
) []coordinator.RepositoryID {
	mu.Lock()
	defer mu.Unlock()
	ids := make([]coordinator.RepositoryID, 0, len(seen))
	for id := range seen {
		ids = append(ids, id)
	}
	return ids
}

func testRepair(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository, claim := claimed(t, store)
	require.NoError(t, store.RenewRepair(t.Context(), claim, long))
	require.NoError(t, store.FinishRepair(t.Context(), claim, repository.Generation))

	after := load(t, store, repository.ID)
	require.Equal(t, []coordinator.Generation{1, 1, 1}, generations(after))
	require.False(t, after.Replicas[2].Repairing)
	require.Empty(t, claimAll(t, store, long, all()...))
	require.ErrorIs(t, store.FinishRepair(t.Context(), claim, repository.Generation),
		coordinator.ErrSuperseded, "the claim is given back")
}

func testRepairNeverLowers(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := record(t, store, write(t, store, ready(t, store, "repository.git"), all()...))
	repository = record(t, store, write(t, store, repository, first, second))
	claims := claimAll(t, store, long, third)
	require.Len(t, claims, 1)
	require.NoError(t, store.FinishRepair(t.Context(), claims[0], 0))
	require.Equal(t, []coordinator.Generation{2, 2, 1}, generations(load(t, store, repository.ID)))

	claims = claimAll(t, store, long, third)
	require.Len(t, claims, 1, "it is due again at once")
	require.ErrorIs(t, store.FinishRepair(t.Context(), claims[0], 3), coordinator.ErrSuperseded,
		"there is no such generation")
}

func testRepairOvertaken(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository, claim := claimed(t, store)
	record(t, store, write(t, store, repository, first, second))
	require.NoError(t, store.FinishRepair(t.Context(), claim, repository.Generation))
	require.Equal(t, []coordinator.Generation{2, 2, 1}, generations(load(t, store, repository.ID)))
	require.Len(t, claimAll(t, store, long, third), 1)
}

// testRepairRecordConcurrent lets a record and the end of a repair meet; whichever comes first, a
// replica that is behind afterwards is due.
func testRepairRecordConcurrent(t *testing.T, store coordinator.Store) {
	t.Helper()
	const rounds = 25
	for i := range rounds {
		repository := outdated(t, store, fmt.Sprintf("%d.git", i))
		claims := claimAll(t, store, long, third)
		require.Len(t, claims, 1)
		made := write(t, store, repository, all()...)
		var group errgroup.Group
		group.Go(func() error {
			_, err := store.Record(t.Context(), made)
			return err
		})
		group.Go(func() error {
			return store.FinishRepair(t.Context(), claims[0], repository.Generation)
		})
		require.NoError(t, group.Wait())

		after := load(t, store, repository.ID)
		require.True(t, after.Current(first) && after.Current(second))
		due := claimAll(t, store, long, third)
		require.Equal(t, after.Current(third), len(due) == 0,
			"generations %v, %d due", generations(after), len(due))
		remove(t, store, repository.ID)
	}
}

func testRepairLosesClaim(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := outdated(t, store, "repository.git")
	expired := claimAll(t, store, 0, third)[0]
	requireLost(t, store, expired)
	current := claimAll(t, store, long, third)[0]
	requireLost(t, store, expired)
	stranger := current
	stranger.ID++
	requireLost(t, store, stranger)
	require.NoError(t, store.FinishRepair(t.Context(), current, repository.Generation))
}

// requireLost demands that a claim gives no right any more.
func requireLost(t *testing.T, store coordinator.Store, claim coordinator.RepairClaim) {
	t.Helper()
	before := load(t, store, claim.Repository)
	for name, err := range map[string]error{
		"renew":    store.RenewRepair(t.Context(), claim, long),
		"join":     store.JoinRepair(t.Context(), claim),
		"empty":    store.EmptyReplica(t.Context(), claim),
		"finish":   store.FinishRepair(t.Context(), claim, before.Generation),
		"postpone": store.PostponeRepair(t.Context(), claim, coordinator.Postponement{}),
	} {
		require.ErrorIs(t, err, coordinator.ErrSuperseded, name)
	}
	require.Equal(t, before, load(t, store, claim.Repository))
}

func testRepairDeleted(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository, claim := claimed(t, store)
	remove(t, store, repository.ID)
	for name, err := range map[string]error{
		"renew":  store.RenewRepair(t.Context(), claim, long),
		"join":   store.JoinRepair(t.Context(), claim),
		"empty":  store.EmptyReplica(t.Context(), claim),
		"finish": store.FinishRepair(t.Context(), claim, repository.Generation),
	} {
		require.ErrorIs(t, err, coordinator.ErrSuperseded, name)
	}
	require.NoError(t, store.PostponeRepair(t.Context(), claim, coordinator.Postponement{}),
		"so that the removal need not wait")
	require.Empty(t, claimAll(t, store, long, third))
}

// testRepairPostponed counts failures, whatever bytes nodes put into their errors: names of
// references need not be text.
func testRepairPostponed(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository, claim := claimed(t, store)
	for failures, failure := range []string{
		"no space left", "cannot lock ref 'refs/heads/caf\xe9'",
		"nothing\x00" + strings.Repeat(".", 1<<20),
	} {
		require.Equal(t, failures, claim.Failures)
		require.NoError(t, store.PostponeRepair(t.Context(), claim,
			coordinator.Postponement{Failure: failure}))
		claim = claimAll(t, store, long, third)[0]
	}
	require.NoError(t, store.PostponeRepair(t.Context(), claim, coordinator.Postponement{}))
	claim = claimAll(t, store, long, third)[0]
	require.Equal(t, 3, claim.Failures, "what could not begin is no failure")

	require.NoError(t, store.FinishRepair(t.Context(), claim, repository.Generation))
	record(t, store, write(t, store, load(t, store, repository.ID), first, second))
	claim = claimAll(t, store, long, third)[0]
	require.Zero(t, claim.Failures, "success makes up for failures")
	require.NoError(t, store.PostponeRepair(t.Context(), claim,
		coordinator.Postponement{Delay: long}))
	require.Empty(t, claimAll(t, store, long, third))
}

func testJoining(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository, claim := claimed(t, store)
	joining := func() bool { return load(t, store, repository.ID).Replicas[2].Joining }
	require.False(t, joining())
	require.NoError(t, store.JoinRepair(t.Context(), claim))
	require.True(t, joining())
	record(t, store, write(t, store, repository, all()...))
	require.True(t, joining(), "a write that passes over it changes nothing")
	require.False(t, load(t, store, repository.ID).Current(third))

	require.NoError(t, store.PostponeRepair(t.Context(), claim, coordinator.Postponement{}))
	require.False(t, joining())
	claim = claimAll(t, store, 0, third)[0]
	require.ErrorIs(t, store.JoinRepair(t.Context(), claim), coordinator.ErrSuperseded)
	claim = claimAll(t, store, long, third)[0]
	require.NoError(t, store.JoinRepair(t.Context(), claim))
	require.NoError(t, store.FinishRepair(t.Context(), claim, repository.Generation+1))
	require.False(t, joining())
	require.True(t, load(t, store, repository.ID).Current(third))
}

func testEmptying(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository, claim := claimed(t, store)
	require.NoError(t, store.EmptyReplica(t.Context(), claim))
	require.Equal(t, []coordinator.Generation{1, 1, coordinator.Absent},
		generations(load(t, store, repository.ID)))
	require.NoError(t, store.FinishRepair(t.Context(), claim, repository.Generation))

	late := outdated(t, store, "late.git")
	claim = claimAll(t, store, long, third)[0]
	err := store.FinishRepair(t.Context(), claim, late.Generation)
	require.NoError(t, errors.Join(err))
	require.ErrorIs(t, store.EmptyReplica(t.Context(), claim), coordinator.ErrSuperseded,
		"a current replica is never emptied")
}
