package metadatatest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

func memberTests() map[string]func(*testing.T, coordinator.Store) {
	return map[string]func(*testing.T, coordinator.Store){
		"lease":                     testLease,
		"lease runs out":            testLeaseRunsOut,
		"lease of a predecessor":    testLeaseOfPredecessor,
		"lease of a process":        testLeaseOfProcess,
		"another timeline":          testTimeline,
		"reports":                   testReports,
		"renewal has invalidations": testRenewalInvalidates,
	}
}

func renew(
	t *testing.T, store coordinator.Store, renewal coordinator.Renewal,
) coordinator.Membership {
	t.Helper()
	renewal.TTL = long
	known, err := store.Renew(t.Context(), renewal)
	require.NoError(t, err)
	return known
}

// acknowledge says what the other proxy has applied.
func acknowledge(
	t *testing.T, store coordinator.Store, applied coordinator.Sequence,
) error {
	t.Helper()
	return store.Acknowledge(t.Context(), coordinator.Acknowledgement{
		Incarnation: other, Applied: applied,
	})
}

func requireOtherEnded(t *testing.T, store coordinator.Store) {
	t.Helper()
	_, err := store.Renew(t.Context(), coordinator.Renewal{Incarnation: other, TTL: long})
	require.ErrorIs(t, err, coordinator.ErrLeaseLost)
	require.ErrorIs(t, acknowledge(t, store, 1), coordinator.ErrLeaseLost)
	from := creation("of-the-ended.git")
	from.Incarnation = other
	require.ErrorIs(t, store.Create(t.Context(), from), coordinator.ErrLeaseLost,
		"an attempt to renew does not bring it back")
}

func testLease(t *testing.T, store coordinator.Store) {
	t.Helper()
	requireOtherEnded(t, store)
	enlist(t, store, other)
	known := renew(t, store, coordinator.Renewal{Incarnation: other})
	require.NotEmpty(t, known.Timeline)
	require.Equal(t, known.Timeline,
		renew(t, store, coordinator.Renewal{Incarnation: self}).Timeline)
	enlist(t, store, other)
	resign(t, store, other)
	requireOtherEnded(t, store)
	resign(t, store, other)
	resign(t, store, extra)
	_, err := store.Enlist(t.Context(), coordinator.Enlistment{
		Incarnation: other, Name: "proxy-2", TTL: long,
	})
	require.ErrorIs(t, err, coordinator.ErrLeaseLost, "an incarnation has one life")
	requireOtherEnded(t, store)
	renew(t, store, coordinator.Renewal{Incarnation: self})
}

func testLeaseRunsOut(t *testing.T, store coordinator.Store) {
	t.Helper()
	_, err := store.Enlist(t.Context(), coordinator.Enlistment{
		Incarnation: other, Name: "other", TTL: keep,
	})
	require.NoError(t, err)
	repository := ready(t, store, "repository.git")
	held := intent(repository.ID)
	held.Incarnation = other
	_, err = store.OpenTurn(t.Context(), held)
	require.NoError(t, err)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		adopted, err := store.AdoptTurns(t.Context(), self, 1)
		require.NoError(c, err)
		require.Len(c, adopted, 1)
	}, patience, tick)
	requireOtherEnded(t, store)
}

// testLeaseOfPredecessor starts a proxy again: its predecessor has ended, and nobody else.
func testLeaseOfPredecessor(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	_, err := store.Enlist(t.Context(), coordinator.Enlistment{
		Incarnation: extra, Name: "proxy-2", TTL: long, Replaces: true,
	})
	require.NoError(t, err)
	requireOtherEnded(t, store)
	renew(t, store, coordinator.Renewal{Incarnation: extra})
	renew(t, store, coordinator.Renewal{Incarnation: self})
}

// testLeaseOfProcess has two processes of one name live side by side, and one of them begin anew:
// only its own earlier incarnation ends.
func testLeaseOfProcess(t *testing.T, store coordinator.Store) {
	t.Helper()
	const successor, again = coordinator.Incarnation(20), coordinator.Incarnation(21)
	enlist(t, store, other)
	enlistAs := func(incarnation coordinator.Incarnation, former ...coordinator.Incarnation) {
		_, err := store.Enlist(t.Context(), coordinator.Enlistment{
			Incarnation: incarnation, Name: "proxy-2", TTL: long, Former: former,
		})
		require.NoError(t, err)
	}
	enlistAs(successor)
	renew(t, store, coordinator.Renewal{Incarnation: other})
	renew(t, store, coordinator.Renewal{Incarnation: successor})
	enlistAs(again, other, again)
	requireOtherEnded(t, store)
	renew(t, store, coordinator.Renewal{Incarnation: successor})
	renew(t, store, coordinator.Renewal{Incarnation: again})
}

// testTimeline has a proxy that does not know yet that another server took over: what it has
// applied are other invalidations, and its lease is not prolonged.
func testTimeline(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	known := renew(t, store, coordinator.Renewal{Incarnation: other})
	awaited := outdated(t, store, "repository.git").Invalidated

	_, err := store.Renew(t.Context(), coordinator.Renewal{
		Incarnation: other, TTL: 0, Timeline: "another", Applied: awaited,
	})
	require.ErrorIs(t, err, coordinator.ErrTimelineChanged)
	require.ErrorIs(t, store.Acknowledge(t.Context(), coordinator.Acknowledgement{
		Incarnation: other, Timeline: "another", Applied: awaited,
	}), coordinator.ErrLeaseLost)
	require.False(t, acknowledged(t, store, self, awaited), "it lives and has applied nothing")

	require.NoError(t, store.Acknowledge(t.Context(), coordinator.Acknowledgement{
		Incarnation: other, Timeline: known.Timeline, Applied: awaited - 1,
	}))
	require.False(t, acknowledged(t, store, self, awaited))
	renew(t, store, coordinator.Renewal{
		Incarnation: other, Timeline: known.Timeline, Applied: awaited,
	})
	require.True(t, acknowledged(t, store, self, awaited))
}

func testReports(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	enlist(t, store, extra)
	type health = map[coordinator.VirtualStorage][]coordinator.Storage
	mine, theirs := health{virtual: all(), "archive": {}}, health{virtual: {second}}
	require.Empty(t, cmp.Diff([]coordinator.Report{
		{Incarnation: self, Name: "proxy-1", Healthy: mine},
	}, renew(t, store, coordinator.Renewal{Incarnation: self, Healthy: mine}).Reports),
		"the others have not reported yet")
	renew(t, store, coordinator.Renewal{Incarnation: extra, Healthy: mine})
	resign(t, store, extra)
	want := []coordinator.Report{
		{Incarnation: self, Name: "proxy-1", Healthy: mine},
		{Incarnation: other, Name: "proxy-2", Healthy: theirs},
	}
	got := renew(t, store, coordinator.Renewal{Incarnation: other, Healthy: theirs}).Reports
	require.Empty(t, cmp.Diff(want, got))
	got = renew(t, store, coordinator.Renewal{Incarnation: other, Healthy: nil}).Reports
	require.Len(t, got, 2)
	require.Empty(t, got[1].Healthy, "nothing is healthy")
}

func testRenewalInvalidates(t *testing.T, store coordinator.Store) {
	t.Helper()
	require.Zero(t, enlist(t, store, other))
	keys := []coordinator.Key{}
	for _, path := range []string{"a.git", "b.git", "c.git"} {
		keys = append(keys, outdated(t, store, path).Key)
	}
	known := renew(t, store, coordinator.Renewal{Incarnation: other}).Invalidations
	require.Len(t, known, 3)
	for i, invalidation := range known {
		require.Equal(t, keys[i], invalidation.Key)
		require.Positive(t, invalidation.Sequence)
		require.True(t, i == 0 || invalidation.Sequence > known[i-1].Sequence)
	}
	rest := renew(t, store, coordinator.Renewal{
		Incarnation: other, Applied: known[1].Sequence,
	}).Invalidations
	require.Equal(t, known[2:], rest)
	require.Equal(t, known[2].Sequence, enlist(t, store, extra),
		"an empty cache need not apply them")
	require.Empty(t, renew(t, store, coordinator.Renewal{
		Incarnation: extra, Applied: known[2].Sequence,
	}).Invalidations)
	outdated(t, store, "d.git")
	require.Equal(t, known[2].Sequence, enlist(t, store, extra), "nor those when it is repeated")
	require.Len(t, renew(t, store, coordinator.Renewal{
		Incarnation: extra, Applied: known[2].Sequence,
	}).Invalidations, 1)
}
