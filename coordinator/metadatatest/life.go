package metadatatest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

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

	_, err := store.Delete(t.Context(), from.ID, 0)
	require.NoError(t, err)
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

func testCreationExpires(t *testing.T, store coordinator.Store) {
	t.Helper()
	dead, renewed, done := creation("dead.git"), creation("renewed.git"), creation("done.git")
	for _, from := range []*coordinator.Creation{&dead, &renewed, &done} {
		from.TTL = 0
		require.NoError(t, store.Create(t.Context(), *from))
	}
	require.NoError(t, store.RenewCreations(t.Context(),
		[]coordinator.RepositoryID{renewed.ID, done.ID, newID()}, long))
	require.NoError(t, store.Complete(t.Context(), done.ID))

	removals, err := store.ClaimRemovals(t.Context(), 10, long)
	require.NoError(t, err)
	require.Len(t, removals, 1)
	require.Equal(t, dead.ID, removals[0].ID)
	require.ErrorIs(t, store.Complete(t.Context(), dead.ID), coordinator.ErrSuperseded,
		"a proxy that froze cannot bring it back")
	require.NoError(t, store.Complete(t.Context(), renewed.ID))
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

func testDelete(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	deleted, err := store.Delete(t.Context(), repository.ID, long)
	require.NoError(t, err)
	require.Equal(t, coordinator.StateDeleting, deleted.State)
	require.Len(t, deleted.Replicas, 3)

	_, err = store.Lookup(t.Context(), repository.Key)
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
	_, err = store.Delete(t.Context(), repository.ID, long)
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
	_, err = store.Record(t.Context(), write(repository, all()...))
	require.ErrorIs(t, err, coordinator.ErrSuperseded)
	_, err = store.Elect(t.Context(), coordinator.Election{
		Repository: repository.ID, Epoch: repository.Epoch, Candidate: second,
	})
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)

	require.NoError(t, store.Removed(t.Context(), repository.ID,
		[]coordinator.Storage{first, second}))
	require.Len(t, load(t, store, repository.ID).Replicas, 1)
	require.NoError(t, store.Removed(t.Context(), repository.ID, []coordinator.Storage{third}))
	_, err = store.Load(t.Context(), repository.ID)
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
	require.NoError(t, store.Removed(t.Context(), repository.ID, all()), "removing twice is fine")
}

func testRemovals(t *testing.T, store coordinator.Store) {
	t.Helper()
	for i := range 3 {
		repository := ready(t, store, fmt.Sprintf("%d.git", i))
		_, err := store.Delete(t.Context(), repository.ID, 0)
		require.NoError(t, err)
	}
	later := ready(t, store, "later.git")
	_, err := store.Delete(t.Context(), later.ID, long)
	require.NoError(t, err)
	kept := ready(t, store, "kept.git")
	require.NoError(t, store.Removed(t.Context(), kept.ID, all()), "only what is being deleted")
	require.Len(t, load(t, store, kept.ID).Replicas, 3)

	seen := map[coordinator.RepositoryID]bool{}
	for _, want := range []int{2, 1, 0} {
		removals, err := store.ClaimRemovals(t.Context(), 2, long)
		require.NoError(t, err)
		require.Len(t, removals, want)
		for _, removal := range removals {
			require.False(t, seen[removal.ID], "claimed twice")
			require.Len(t, removal.Replicas, 3)
			seen[removal.ID] = true
		}
	}
	require.NotContains(t, seen, later.ID)
}

// testRemovalWaits has a repair that may still be writing to a replica.
func testRemovalWaits(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository, claim := claimed(t, store)
	deleted, err := store.Delete(t.Context(), repository.ID, 0)
	require.NoError(t, err)
	require.True(t, deleted.Replicas[2].Repairing)
	require.NoError(t, store.Removed(t.Context(), repository.ID, all()))
	left := load(t, store, repository.ID).Replicas
	require.Len(t, left, 1)
	require.Equal(t, third, left[0].Storage)

	require.NoError(t, store.PostponeRepair(t.Context(), claim, coordinator.Postponement{}))
	require.NoError(t, store.Removed(t.Context(), repository.ID, all()))
	_, err = store.Load(t.Context(), repository.ID)
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
}

// testCallerLeft asks everything with a context that has ended.
func testCallerLeft(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository, claim := claimed(t, store)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	calls := map[string]func() error{
		"lookup": func() error { _, err := store.Lookup(ctx, repository.Key); return err },
		"load":   func() error { _, err := store.Load(ctx, repository.ID); return err },
		"paths": func() error {
			_, err := store.Paths(ctx, coordinator.Page{Limit: 1})
			return err
		},
		"record": func() error {
			_, err := store.Record(ctx, write(repository, all()...))
			return err
		},
		"confirm": func() error {
			_, err := store.Confirm(ctx, coordinator.LateConfirmation{})
			return err
		},
		"hasten": func() error { return store.HastenRepair(ctx, repository.ID, nil) },
		"verify": func() error { return store.ScheduleVerification(ctx, repository.ID) },
		"elect": func() error {
			_, err := store.Elect(ctx, coordinator.Election{Repository: repository.ID})
			return err
		},
		"create":   func() error { return store.Create(ctx, creation("new.git")) },
		"renew":    func() error { return store.RenewCreations(ctx, nil, 0) },
		"complete": func() error { return store.Complete(ctx, repository.ID) },
		"delete":   func() error { _, err := store.Delete(ctx, repository.ID, 0); return err },
		"removals": func() error { _, err := store.ClaimRemovals(ctx, 1, 0); return err },
		"removed":  func() error { return store.Removed(ctx, repository.ID, nil) },
		"claim": func() error {
			_, err := store.ClaimRepairs(ctx, coordinator.RepairRequest{})
			return err
		},
		"renew repair": func() error { return store.RenewRepair(ctx, claim, time.Hour) },
		"join":         func() error { return store.JoinRepair(ctx, claim) },
		"empty":        func() error { return store.EmptyReplica(ctx, claim) },
		"finish":       func() error { return store.FinishRepair(ctx, claim, 1) },
		"postpone": func() error {
			return store.PostponeRepair(ctx, claim, coordinator.Postponement{})
		},
	}
	for name, call := range calls {
		require.ErrorIs(t, call(), coordinator.ErrMetadataUnavailable, name)
	}
}
