package metadatatest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

func lifeTests() map[string]func(*testing.T, coordinator.Store) {
	return map[string]func(*testing.T, coordinator.Store){
		"create":                     testCreate,
		"create taken path":          testCreateTaken,
		"create unfilled":            testCreateUnfilled,
		"creation needs a lease":     testCreationNeedsLease,
		"creation ends with a proxy": testCreationEnds,
		"paths":                      testPaths,
	}
}

func testCreate(t *testing.T, store coordinator.Store) {
	t.Helper()
	from := creation("repository.git")
	require.NoError(t, store.Create(t.Context(), from))

	_, err := store.Lookup(t.Context(), from.Key)
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound, "it is not visible yet")
	require.Equal(t, coordinator.StateCreating, load(t, store, from.ID).State)

	require.NoError(t, store.Complete(t.Context(), from.ID))
	require.NoError(t, store.Complete(t.Context(), from.ID), "completing twice is fine")
	found, err := store.Lookup(t.Context(), from.Key)
	require.NoError(t, err)
	want := coordinator.Repository{
		ID: from.ID, Key: from.Key, ReplicaPath: from.ReplicaPath,
		State: coordinator.StateReady, Primary: first, Epoch: 1,
		Replicas: []coordinator.Replica{
			{Storage: first, Assigned: true},
			{Storage: second, Assigned: true},
			{Storage: third, Assigned: true},
		},
	}
	require.Empty(t, cmp.Diff(want, found))
	require.Empty(t, cmp.Diff(want, load(t, store, from.ID)))

	_, err = store.Lookup(t.Context(), coordinator.Key{
		VirtualStorage: "other", RelativePath: from.Key.RelativePath,
	})
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
	_, err = store.Load(t.Context(), newID())
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
}

func testCreateTaken(t *testing.T, store coordinator.Store) {
	t.Helper()
	from := creation("repository.git")
	require.NoError(t, store.Create(t.Context(), from))
	require.ErrorIs(t, store.Create(t.Context(), creation("repository.git")),
		coordinator.ErrRepositoryExists, "while it is being created")
	require.NoError(t, store.Complete(t.Context(), from.ID))
	require.ErrorIs(t, store.Create(t.Context(), creation("repository.git")),
		coordinator.ErrRepositoryExists, "once it exists")

	elsewhere := creation("repository.git")
	elsewhere.Key.VirtualStorage = "other"
	require.NoError(t, store.Create(t.Context(), elsewhere), "in another virtual storage")

	remove(t, store, from.ID)
	again := creation("repository.git")
	require.NoError(t, store.Create(t.Context(), again), "while the old one is removed from disks")
	require.NoError(t, store.Complete(t.Context(), again.ID))
}

// testCreateUnfilled leaves out a node that is not healthy.
func testCreateUnfilled(t *testing.T, store coordinator.Store) {
	t.Helper()
	from := creation("repository.git")
	from.Participants = []coordinator.Storage{first, second}
	require.NoError(t, store.Create(t.Context(), from))
	require.Empty(t, claimAll(t, store, long, all()...), "nothing is repaired before it is ready")

	require.NoError(t, store.Complete(t.Context(), from.ID))
	require.Equal(t, []coordinator.Generation{0, 0, coordinator.Absent},
		generations(load(t, store, from.ID)))
	claims := claimAll(t, store, long, all()...)
	require.Len(t, claims, 1)
	require.Equal(t, third, claims[0].Storage)
}

func testCreationNeedsLease(t *testing.T, store coordinator.Store) {
	t.Helper()
	from := creation("repository.git")
	from.Incarnation = other
	require.ErrorIs(t, store.Create(t.Context(), from), coordinator.ErrLeaseLost, "unknown")
	enlist(t, store, other)
	resign(t, store, other)
	require.ErrorIs(t, store.Create(t.Context(), from), coordinator.ErrLeaseLost, "ended")
	_, err := store.Load(t.Context(), from.ID)
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
	require.NoError(t, store.Create(t.Context(), creation("repository.git")), "the path is free")
}

// testCreationEnds has three creations of a proxy that ends and one of a proxy that lives.
func testCreationEnds(t *testing.T, store coordinator.Store) {
	t.Helper()
	enlist(t, store, other)
	dead, done, failed, living := creation("dead.git"), creation("done.git"),
		creation("failed.git"), creation("living.git")
	for _, from := range []*coordinator.Creation{&dead, &done, &failed} {
		from.Incarnation = other
		require.NoError(t, store.Create(t.Context(), *from))
	}
	require.NoError(t, store.Create(t.Context(), living))
	require.NoError(t, store.Complete(t.Context(), done.ID))
	_, err := store.Delete(t.Context(), coordinator.Deletion{
		Repository: failed.ID, Grace: long,
	})
	require.NoError(t, err, "a creation has no turn")
	request := coordinator.RemovalRequest{Limit: 10, TTL: long}
	removals, err := store.ClaimRemovals(t.Context(), request)
	require.NoError(t, err)
	require.Empty(t, removals, "its proxy lives")

	resign(t, store, other)
	removals, err = store.ClaimRemovals(t.Context(), request)
	require.NoError(t, err)
	require.Len(t, removals, 1)
	require.Equal(t, dead.ID, removals[0].ID)
	require.Equal(t, coordinator.StateDeleting, removals[0].State)
	require.ErrorIs(t, store.Complete(t.Context(), dead.ID), coordinator.ErrSuperseded,
		"a proxy that froze cannot bring it back")
	_, err = store.Record(t.Context(), outcome(removals[0], all()...))
	require.ErrorIs(t, err, coordinator.ErrSuperseded)
	require.NoError(t, store.Complete(t.Context(), living.ID))
	require.Equal(t, coordinator.StateReady, load(t, store, done.ID).State)
}

func testPaths(t *testing.T, store coordinator.Store) {
	t.Helper()
	for _, path := range []string{"b.git", "B.git", "a/c.git", "a-c.git"} {
		ready(t, store, path)
	}
	require.NoError(t, store.Create(t.Context(), creation("creating.git")))
	page := coordinator.Page{VirtualStorage: virtual, Limit: 3}
	paths, err := store.Paths(t.Context(), page)
	require.NoError(t, err)
	require.Equal(t, []string{"B.git", "a-c.git", "a/c.git"}, paths, "in the order of their bytes")
	page.After = "a/c.git"
	paths, err = store.Paths(t.Context(), page)
	require.NoError(t, err)
	require.Equal(t, []string{"b.git"}, paths)
}
