package metadatatest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

func announcementTests() map[string]func(*testing.T, coordinator.Store) {
	return map[string]func(*testing.T, coordinator.Store){
		"announcement is withdrawn":      testWithdraw,
		"announcement in doubt":          testWithdrawDoubtful,
		"announcement of the dead":       testAnnouncementAdopted,
		"announcement is refused":        testAnnouncementRefused,
		"announcement of what is gone":   testAnnouncementGone,
		"announcements of one":           testAnnouncementsOfOne,
		"withdrawal without one":         testWithdrawUnannounced,
		"withdrawal after the adoption":  testWithdrawLate,
		"announcement keeps nobody away": testAnnouncementExcludesNobody,
	}
}

// announcement is of a call to all replicas.
func announcement(
	id coordinator.RepositoryID, incarnation coordinator.Incarnation,
) coordinator.Announcement {
	return coordinator.Announcement{
		Write: newWrite(), Repository: id, Incarnation: incarnation, Participants: all(),
	}
}

func announce(
	t *testing.T, store coordinator.Store, id coordinator.RepositoryID,
	incarnation coordinator.Incarnation,
) coordinator.Withdrawal {
	t.Helper()
	made := announcement(id, incarnation)
	require.NoError(t, store.Announce(t.Context(), made))
	require.NoError(t, store.Announce(t.Context(), made), "repeating it succeeds")
	return coordinator.Withdrawal{Write: made.Write, Repository: id}
}

func requireAnnounced(
	t *testing.T, store coordinator.Store, id coordinator.RepositoryID, want bool,
) {
	t.Helper()
	got, err := store.Announced(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func withdraw(t *testing.T, store coordinator.Store, withdrawal coordinator.Withdrawal) {
	t.Helper()
	require.NoError(t, store.Withdraw(t.Context(), withdrawal))
}

// adoptAnnouncements demands of how many repositories announcements are adopted.
func adoptAnnouncements(t *testing.T, store coordinator.Store, want int) {
	t.Helper()
	got, err := store.AdoptAnnouncements(t.Context(), 10, long)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// requireDoubt claims one comparison and demands that it is in doubt, or is not.
func requireDoubt(t *testing.T, store coordinator.Store, doubtful bool) coordinator.Verification {
	t.Helper()
	claimed := claimVerifications(t, store)
	require.Len(t, claimed, 1)
	require.Equal(t, doubtful, claimed[0].Doubtful)
	return claimed[0]
}

// testWithdraw has calls that end well, with and without a comparison.
func testWithdraw(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	requireAnnounced(t, store, repository.ID, false)
	quiet := announce(t, store, repository.ID, self)
	adoptAnnouncements(t, store, 0)
	requireAnnounced(t, store, repository.ID, true)
	requireAnnounced(t, store, newID(), false)
	withdraw(t, store, quiet)
	requireAnnounced(t, store, repository.ID, false)
	require.Empty(t, claimVerifications(t, store))

	compared := announce(t, store, repository.ID, self)
	compared.Compare = true
	withdraw(t, store, compared)
	require.NoError(t, store.Verified(t.Context(), requireDoubt(t, store, false)))
	require.Empty(t, claimVerifications(t, store))
	resign(t, store, self)
	adoptAnnouncements(t, store, 0)
	require.Equal(t, repository, load(t, store, repository.ID), "nothing else has changed")
}

// testWithdrawDoubtful has a node that may still be at it: the replicas are compared at once, and
// again when it does nothing any more.
func testWithdrawDoubtful(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := outdated(t, store, "repository.git")
	withdrawal := announce(t, store, repository.ID, self)
	withdrawal.Compare, withdrawal.Doubtful = true, true
	withdrawal.Settling = settling(keep, third)
	withdraw(t, store, withdrawal)
	early := requireDoubt(t, store, true)
	requireSettling(t, true, claimAll(t, store, long, third))
	require.NoError(t, store.Verified(t.Context(), early))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		late, err := store.ClaimVerifications(t.Context(), 10, long)
		require.NoError(c, err)
		require.Len(c, late, 1)
		require.True(c, late[0].Doubtful)
	}, patience, tick)
}

// testAnnouncementAdopted has a proxy die in the middle of a call.
func testAnnouncementAdopted(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	repository := outdated(t, store, "repository.git")
	announce(t, store, repository.ID, other)
	announce(t, store, ready(t, store, "another.git").ID, self)
	adoptAnnouncements(t, store, 0)
	require.Empty(t, claimVerifications(t, store), "both proxies live")

	resign(t, store, other)
	adoptAnnouncements(t, store, 1)
	adoptAnnouncements(t, store, 0)
	requireAnnounced(t, store, repository.ID, false)
	requireSettling(t, true, claimAll(t, store, long, third))
	due := requireDoubt(t, store, true)
	require.Equal(t, repository.ID, due.Repository.ID)
	require.NoError(t, store.Verified(t.Context(), due))
	require.Empty(t, claimVerifications(t, store), "it is due again when all have settled")
}

func testAnnouncementRefused(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	require.ErrorIs(t, store.Announce(t.Context(), announcement(newID(), self)),
		coordinator.ErrRepositoryNotFound)
	require.ErrorIs(t, store.Announce(t.Context(), announcement(repository.ID, other)),
		coordinator.ErrLeaseLost)
	_, err := store.Enlist(t.Context(), coordinator.Enlistment{
		Incarnation: extra, Name: "ended", TTL: 0,
	})
	require.NoError(t, err)
	require.ErrorIs(t, store.Announce(t.Context(), announcement(repository.ID, extra)),
		coordinator.ErrLeaseLost)
	made := creation("creating.git")
	require.NoError(t, store.Create(t.Context(), made))
	require.ErrorIs(t, store.Announce(t.Context(), announcement(made.ID, self)),
		coordinator.ErrRepositoryNotFound)
	resign(t, store, self)
	adoptAnnouncements(t, store, 0)
}

// testAnnouncementGone has the repository removed while the call is under way.
func testAnnouncementGone(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	repository := ready(t, store, "repository.git")
	withdrawal := announce(t, store, repository.ID, other)
	remove(t, store, repository.ID)
	require.NoError(t, store.Removed(t.Context(), repository.ID, all()))
	withdrawal.Compare = true
	withdraw(t, store, withdrawal)
	resign(t, store, other)
	adoptAnnouncements(t, store, 0)
}

// testAnnouncementsOfOne has several calls under way on one repository when their proxy dies.
func testAnnouncementsOfOne(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	repository := ready(t, store, "repository.git")
	announce(t, store, repository.ID, other)
	announce(t, store, repository.ID, other)
	announce(t, store, ready(t, store, "another.git").ID, other)
	resign(t, store, other)
	for left := 2; left > 0; {
		count, err := store.AdoptAnnouncements(t.Context(), 1, long)
		require.NoError(t, err)
		require.Positive(t, count)
		left -= count
	}
	adoptAnnouncements(t, store, 0)
	require.Len(t, claimVerifications(t, store), 2)
}

func testWithdrawUnannounced(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	withdraw(t, store, coordinator.Withdrawal{
		Write: newWrite(), Repository: repository.ID, Compare: true, Doubtful: true,
	})
	due := requireDoubt(t, store, true)
	require.NoError(t, store.Verified(t.Context(), due))
	require.Empty(t, claimVerifications(t, store), "nothing settles")
	withdraw(t, store, coordinator.Withdrawal{
		Write: newWrite(), Repository: newID(), Compare: true,
	})
}

// testWithdrawLate has a proxy that froze in the middle of a call end it when others have compared
// the replicas: they have to be compared again.
func testWithdrawLate(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	repository := ready(t, store, "repository.git")
	withdrawal := announce(t, store, repository.ID, other)
	resign(t, store, other)
	adoptAnnouncements(t, store, 1)
	early := requireDoubt(t, store, true)
	withdrawal.Compare, withdrawal.Doubtful = true, true
	withdraw(t, store, withdrawal)
	require.NoError(t, store.Verified(t.Context(), early))
	requireDoubt(t, store, true)
}

// testAnnouncementExcludesNobody has writes go on meanwhile.
func testAnnouncementExcludesNobody(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	announce(t, store, repository.ID, self)
	require.False(t, load(t, store, repository.ID).TurnHeld)
	require.EqualValues(t, 1, record(t, store, write(t, store, repository, all()...)).Generation)
}
