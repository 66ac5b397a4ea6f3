package metadatatest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

// lostRecord is a write after the repository's state that the store does not know.
func lostRecord(
	repository coordinator.Repository, holders ...coordinator.Storage,
) coordinator.Kept {
	return coordinator.Kept{
		Repository: repository.ID, Write: newWrite(), Epoch: repository.Epoch + 1,
		Generation: repository.Generation + 1, Holders: holders, Primary: second,
	}
}

// testRestore has a write that the primary missed, and of which the record is lost.
func testRestore(t *testing.T, store coordinator.Store) {
	t.Helper()
	before := ready(t, store, "repository.git")
	require.Equal(t, first, before.Primary)

	lost := lostRecord(before, second, third)
	restored, err := store.Restore(t.Context(), lost)
	require.NoError(t, err)
	require.True(t, restored)

	after := load(t, store, before.ID)
	require.Equal(t, lost.Generation, after.Generation)
	require.Greater(t, after.Epoch, lost.Epoch, "no record of either history counts any more")
	require.Equal(t, second, after.Primary)
	require.Greater(t, after.Invalidated, before.Invalidated)
	require.Equal(t, []coordinator.Generation{
		before.Generation, lost.Generation, lost.Generation,
	}, generations(after))
	require.Len(t, claimAll(t, store, long, all()...), 1, "who missed it is repaired")

	restored, err = store.Restore(t.Context(), lost)
	require.NoError(t, err)
	require.False(t, restored, "once is enough")
}

// testRestoreKept has a store that lost nothing, one that has gone on, and repositories that are
// gone.
func testRestoreKept(t *testing.T, store coordinator.Store) {
	t.Helper()
	before := outdated(t, store, "repository.git")
	kept := lostRecord(before, all()...)
	for _, generation := range []coordinator.Generation{before.Generation, before.Generation - 1} {
		kept.Generation = generation
		restored, err := store.Restore(t.Context(), kept)
		require.NoError(t, err)
		require.False(t, restored)
		require.Equal(t, before, load(t, store, before.ID))
	}

	restored, err := store.Restore(t.Context(), coordinator.Kept{
		Repository: newID(), Write: newWrite(), Generation: 1, Holders: all(), Primary: first,
	})
	require.NoError(t, err)
	require.False(t, restored)

	kept.Generation = before.Generation + 1
	remove(t, store, before.ID)
	restored, err = store.Restore(t.Context(), kept)
	require.NoError(t, err)
	require.False(t, restored)
}

// testRestoreRepair has a repair that may have overwritten what a holder held.
func testRestoreRepair(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository, _ := claimed(t, store)
	before := load(t, store, repository.ID)
	lost := lostRecord(before, third)
	restored, err := store.Restore(t.Context(), lost)
	require.NoError(t, err)
	require.False(t, restored, "nobody is left who surely holds it")
	require.Equal(t, before, load(t, store, before.ID))

	lost.Holders, lost.Primary = []coordinator.Storage{second, third}, third
	restored, err = store.Restore(t.Context(), lost)
	require.NoError(t, err)
	require.True(t, restored)
	after := load(t, store, before.ID)
	require.Equal(t, second, after.Primary)
	require.Equal(t, lost.Generation, generations(after)[1])
	require.Less(t, generations(after)[2], lost.Generation)
}
