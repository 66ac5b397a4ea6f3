package coordinator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

// TestSweep has the store carry out statements that were given up, after it was seen to that they
// have no effect: what they hold ends although the process lives, and what its calls hold does not.
func TestSweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, coordinator.Config{})
		id := r.repository(t, path)
		defer r.run(t)()
		fetch := r.write(t, fetching())
		creation, err := r.BeginCreation(t.Context(), coordinator.Key{
			VirtualStorage: virtual, RelativePath: "new.git",
		}, coordinator.CreationOptions{})
		require.NoError(t, err)

		incarnation, _ := r.Incarnation()
		require.NoError(t, r.store.Announce(t.Context(), coordinator.Announcement{
			Write: 7, Repository: id, Incarnation: incarnation,
		}))
		require.NoError(t, r.store.Create(t.Context(), coordinator.Creation{
			ID: 77, Key: coordinator.Key{VirtualStorage: virtual, RelativePath: "late.git"},
			Primary: "a", Incarnation: incarnation,
		}))
		<-time.After(10 * time.Second)
		held, err := r.store.Holdings(t.Context(), incarnation)
		require.NoError(t, err)
		require.Len(t, held, 2)
		for _, holding := range held {
			require.NotEqual(t, coordinator.WriteID(7), holding.Write)
			require.NotEqual(t, coordinator.RepositoryID(77), holding.Repository)
		}
		r.requireDoubt(t)
		late, err := r.store.Load(t.Context(), 77)
		require.NoError(t, err)
		require.Equal(t, coordinator.StateDeleting, late.State, "the path is free again")

		for _, write := range []*coordinator.Write{fetch, creation} {
			_, err := write.Finish(t.Context(), coordinator.Result{})
			require.NoError(t, err)
		}
		held, err = r.store.Holdings(t.Context(), incarnation)
		require.NoError(t, err)
		require.Empty(t, held)
	})
}
