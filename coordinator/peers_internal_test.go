package coordinator

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRecent: what is forgotten first is what was not written to for the longest time, and not what
// was written to first.
func TestRecent(t *testing.T) {
	t.Parallel()
	r := newRecent()
	busy := RepositoryID(1)
	add := func(id RepositoryID) { r.add(Kept{Repository: id}, nil) }
	add(busy)
	for id := range RepositoryID(recentMax - 1) {
		add(2 + id)
	}
	add(busy)
	for id := range RepositoryID(recentMax - 1) {
		add(2*recentMax + id)
	}
	found := r.list()
	require.Len(t, found, recentMax)
	require.Equal(t, busy, found[0].kept.Repository)
	for range 10 * recentMax {
		add(busy)
	}
	require.Less(t, len(r.order), 2*recentMax, "many writes of one repository take no room")
	found = r.list()
	require.Len(t, found, recentMax)
	require.Equal(t, busy, found[recentMax-1].kept.Repository)
}
