package metadatatest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

func verificationTests() map[string]func(*testing.T, coordinator.Store) {
	return map[string]func(*testing.T, coordinator.Store){
		"verification":               testVerification,
		"verification is asked for":  testVerificationAsked,
		"verification again":         testVerificationAgain,
		"verification of what is":    testVerificationOfReady,
		"verifications are claimed":  testVerificationClaimed,
		"verification after settled": testVerificationSettled,
	}
}

func claimVerifications(t *testing.T, store coordinator.Store) []coordinator.Verification {
	t.Helper()
	claimed, err := store.ClaimVerifications(t.Context(), 10, long)
	require.NoError(t, err)
	return claimed
}

func testVerification(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	require.NoError(t, store.ScheduleVerification(t.Context(), repository.ID, long))
	require.Empty(t, claimVerifications(t, store), "it is not due yet")
	require.NoError(t, store.ScheduleVerification(t.Context(), repository.ID, 0))
	require.NoError(t, store.ScheduleVerification(t.Context(), repository.ID, long))
	claimed := claimVerifications(t, store)
	require.Len(t, claimed, 1, "what was asked for later does not put it off")
	require.Equal(t, repository, claimed[0].Repository)
	require.False(t, claimed[0].Doubtful)

	require.Empty(t, claimVerifications(t, store), "somebody is at it")
	require.NoError(t, store.Verified(t.Context(), claimed[0]))
	require.NoError(t, store.Verified(t.Context(), claimed[0]))
	require.Empty(t, claimVerifications(t, store))
	require.ErrorIs(t, store.ScheduleVerification(t.Context(), newID(), 0),
		coordinator.ErrRepositoryNotFound)
}

func testVerificationAsked(t *testing.T, store coordinator.Store) {
	t.Helper()
	made := write(t, store, ready(t, store, "repository.git"), all()...)
	record(t, store, made)
	require.Empty(t, claimVerifications(t, store))
	made = write(t, store, load(t, store, made.Repository), all()...)
	made.Verify = true
	record(t, store, made)
	require.Len(t, claimVerifications(t, store), 1)
}

// testVerificationAgain is asked for again while somebody is at it.
func testVerificationAgain(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	for name, ask := range map[string]func() error{
		"ask": func() error {
			return store.ScheduleVerification(t.Context(), repository.ID, 0)
		},
		"settle": func() error {
			return store.Settle(t.Context(), repository.ID, settling(0, third))
		},
		"record": func() error {
			made := write(t, store, load(t, store, repository.ID), all()...)
			made.Verify = true
			_, err := store.Record(t.Context(), made)
			return err
		},
	} {
		require.NoError(t, store.ScheduleVerification(t.Context(), repository.ID, 0))
		claimed := claimVerifications(t, store)
		require.Len(t, claimed, 1, name)
		require.NoError(t, ask(), name)
		require.NoError(t, store.Verified(t.Context(), claimed[0]))
		again := claimVerifications(t, store)
		require.Len(t, again, 1, name)
		require.NoError(t, store.Verified(t.Context(), claimed[0]))
		require.NoError(t, store.Verified(t.Context(), again[0]))
		require.Empty(t, claimVerifications(t, store), name)
	}
}

func testVerificationOfReady(t *testing.T, store coordinator.Store) {
	t.Helper()
	gone := ready(t, store, "gone.git")
	require.NoError(t, store.ScheduleVerification(t.Context(), gone.ID, 0))
	remove(t, store, gone.ID)
	made := creation("creating.git")
	require.NoError(t, store.Create(t.Context(), made))
	require.NoError(t, store.ScheduleVerification(t.Context(), made.ID, 0))
	require.Empty(t, claimVerifications(t, store))
	require.NoError(t, store.Complete(t.Context(), made.ID))
	require.Len(t, claimVerifications(t, store), 1)
}

func testVerificationClaimed(t *testing.T, store coordinator.Store) {
	t.Helper()
	for i, delay := range []time.Duration{0, time.Millisecond, time.Millisecond} {
		repository := ready(t, store, fmt.Sprintf("%d.git", i))
		require.NoError(t, store.ScheduleVerification(t.Context(), repository.ID, delay))
	}
	stale, err := store.ClaimVerifications(t.Context(), 1, 0)
	require.NoError(t, err)
	require.Len(t, stale, 1)
	require.Equal(t, "0.git", stale[0].Repository.Key.RelativePath, "the longest due first")
	claimed := 0
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		claimed += len(claimVerifications(t, store))
		require.Equal(c, 3, claimed, "that claim has ended")
	}, patience, tick)
	require.NoError(t, store.Verified(t.Context(), stale[0]), "which is no success")
	require.Empty(t, claimVerifications(t, store))
}

// testVerificationSettled begins while a node may act and ends after it: the replica is compared
// once more.
func testVerificationSettled(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := outdated(t, store, "repository.git")
	require.NoError(t, store.Settle(t.Context(), repository.ID, settling(keep, third)))
	require.NoError(t, store.ScheduleVerification(t.Context(), repository.ID, 0))
	early := claimVerifications(t, store)
	require.Len(t, early, 1)
	require.True(t, early[0].Doubtful)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		claims, err := store.ClaimRepairs(t.Context(), coordinator.RepairRequest{
			Claim: newClaim(), TTL: 0, Targets: []coordinator.RepairTarget{
				{VirtualStorage: virtual, Storage: third, Limit: 1},
			},
		})
		require.NoError(c, err)
		require.Len(c, claims, 1)
		require.False(c, claims[0].Settling, "its node may still act")
	}, patience, tick)
	require.NoError(t, store.Verified(t.Context(), early[0]))
	late := claimVerifications(t, store)
	require.Len(t, late, 1)
	require.True(t, late[0].Doubtful)
	require.NoError(t, store.Verified(t.Context(), late[0]))
	require.NoError(t, store.ScheduleVerification(t.Context(), repository.ID, 0))
	require.False(t, claimVerifications(t, store)[0].Doubtful, "that doubt is over")
}
