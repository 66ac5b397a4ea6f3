package coordinator_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

type storages = map[coordinator.Storage]bool

func TestReadSpreads(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	id := r.repository(t, path)
	require.Equal(t, storages{"a": true, "b": true, "c": true}, r.readers(t))
	r.health.set("b")
	require.Equal(t, storages{"a": true, "c": true}, r.readers(t))

	route, err := r.Read(t.Context(), key(), coordinator.ReadOptions{
		Exclude: []coordinator.Storage{"a", "unknown"},
	})
	require.NoError(t, err)
	require.Equal(t, coordinator.Storage("c"), route.Storage)
	require.Equal(t, coordinator.ReplicaPath(id, path), route.ReplicaPath)
	for range 20 {
		require.Equal(t, coordinator.Storage("a"), r.read(t, coordinator.ReadOptions{}),
			"the other one is busy")
	}
	route.Done()
	require.Equal(t, 1, r.store.total(), "one statement for all of this")
}

func TestReadRefusals(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	_, err := r.Read(t.Context(), key(), coordinator.ReadOptions{})
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
	_, err = r.Read(t.Context(), coordinator.Key{VirtualStorage: "other"},
		coordinator.ReadOptions{})
	require.ErrorIs(t, err, coordinator.ErrUnknownVirtualStorage)

	r.repository(t, path)
	_, err = r.Read(t.Context(), key(), coordinator.ReadOptions{
		Exclude: []coordinator.Storage{"a", "b", "c"},
	})
	require.ErrorIs(t, err, coordinator.ErrNoCurrentReplica)
	r.health.set("a", "b", "c")
	_, err = r.Read(t.Context(), key(), coordinator.ReadOptions{})
	require.ErrorIs(t, err, coordinator.ErrNoHealthyNode)
	_, err = r.Read(t.Context(), key(), coordinator.ReadOptions{PrimaryOnly: true})
	require.ErrorIs(t, err, coordinator.ErrNoHealthyNode)
}

func TestReadPrimary(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	primary := coordinator.ReadOptions{PrimaryOnly: true}
	for range 10 {
		require.Equal(t, coordinator.Storage("a"), r.read(t, primary))
	}
	r.health.set("a")
	elected := r.read(t, primary)
	require.NotEqual(t, coordinator.Storage("a"), elected)
	r.health.set()
	for range 10 {
		require.Equal(t, elected, r.read(t, primary), "it stays when the old one returns")
	}
	require.Equal(t, coordinator.Epoch(2), r.load(t).Epoch)
}

// TestReadDuringCommit follows reads through a write that leaves one replica behind: they go to
// the primary while it commits, and never to the outdated replica afterwards.
func TestReadDuringCommit(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.repository(t, path)
	require.Len(t, r.readers(t), 3)
	write := r.write(t, coordinator.WriteOptions{})
	_, err := write.TakeTurn(t.Context())
	require.NoError(t, err)
	require.Len(t, r.readers(t), 3)

	write.Committing()
	write.Committing()
	require.Equal(t, storages{"a": true}, r.readers(t))
	r.health.set("a")
	require.Equal(t, storages{"b": true, "c": true}, r.readers(t), "reads go on without it")
	r.health.set()

	require.NoError(t, write.Record(t.Context(), kept(1, "a", "b")))
	require.Equal(t, storages{"a": true, "b": true}, r.readers(t))
	finish(t, write, success(), coordinator.OutcomeRecorded)
	require.Equal(t, storages{"a": true, "b": true}, r.readers(t))
}

// TestReadSeesOthers has a second process change the metadata.
func TestReadSeesOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t, coordinator.Config{})
		other := setupOn(t, r.store, coordinator.Config{})
		r.repository(t, path)
		require.Len(t, r.readers(t), 3)

		write := other.write(t, coordinator.WriteOptions{})
		commit(t, write, "b", "c")
		finish(t, write, success(), coordinator.OutcomeRecorded)
		require.Equal(t, storages{"b": true, "c": true}, r.readers(t))
	})
}

// TestReadAfterOwnWrite has another process leave a replica behind, and this one write before it is
// told of that: the replica was not healthy here and takes no part. Once the write is answered, it
// is seen by readers here as well.
func TestReadAfterOwnWrite(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	other := setupOn(t, r.store, coordinator.Config{})
	r.repository(t, path)
	require.Len(t, r.readers(t), 3)
	r.health.set("c")
	mine := r.write(t, coordinator.WriteOptions{})
	theirs := other.write(t, coordinator.WriteOptions{})
	r.mu.Lock()
	r.deaf = true
	r.mu.Unlock()
	commit(t, theirs, "a", "b")

	commit(t, mine, "a", "b")
	finish(t, mine, success(), coordinator.OutcomeRecorded)
	r.health.set()
	require.Equal(t, storages{"a": true, "b": true}, r.readers(t))

	r.mu.Lock()
	r.deaf = false
	r.mu.Unlock()
	finish(t, theirs, success(), coordinator.OutcomeRecorded)
}

func TestMaintenance(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	id := r.repository(t, path)
	write := r.write(t, coordinator.WriteOptions{})
	commit(t, write, "b", "c")
	finish(t, write, success(), coordinator.OutcomeRecorded)

	route, err := r.Maintenance(t.Context(), key())
	require.NoError(t, err)
	require.Equal(t, coordinator.MaintenanceRoute{
		Storages:    []coordinator.Storage{"b", "a", "c"},
		ReplicaPath: coordinator.ReplicaPath(id, path),
	}, route, "the primary first, the outdated one too")
	r.health.set("b")
	route, err = r.Maintenance(t.Context(), key())
	require.NoError(t, err)
	require.Equal(t, []coordinator.Storage{"a", "c"}, route.Storages)
	r.health.set("a", "b", "c")
	_, err = r.Maintenance(t.Context(), key())
	require.ErrorIs(t, err, coordinator.ErrNoHealthyNode)
	_, err = r.Maintenance(t.Context(), coordinator.Key{VirtualStorage: "other"})
	require.ErrorIs(t, err, coordinator.ErrUnknownVirtualStorage)
	_, err = r.Maintenance(t.Context(), coordinator.Key{VirtualStorage: virtual})
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
}

func TestStorageRead(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	r.health.set("a")
	storage, err := r.StorageRead(t.Context(), virtual, []coordinator.Storage{"b"})
	require.NoError(t, err)
	require.Equal(t, coordinator.Storage("c"), storage)
	_, err = r.StorageRead(t.Context(), virtual, []coordinator.Storage{"b", "c"})
	require.ErrorIs(t, err, coordinator.ErrNoHealthyNode)
	_, err = r.StorageRead(t.Context(), "other", nil)
	require.ErrorIs(t, err, coordinator.ErrUnknownVirtualStorage)

	all, err := r.StorageWrite(virtual)
	require.NoError(t, err)
	require.Equal(t, []coordinator.Storage{"b", "c"}, all, "every healthy one")
	_, err = r.StorageWrite("other")
	require.ErrorIs(t, err, coordinator.ErrUnknownVirtualStorage)
	r.health.set("a", "b", "c")
	_, err = r.StorageWrite(virtual)
	require.ErrorIs(t, err, coordinator.ErrNoHealthyNode)
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	r := setup(t, coordinator.Config{})
	id := r.repository(t, path)
	r.repository(t, "another.git")
	for key, want := range map[coordinator.Key]bool{
		key():                     true,
		{VirtualStorage: virtual}: false,
		{VirtualStorage: "x", RelativePath: path}: false,
	} {
		exists, err := r.Exists(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, want, exists, key)
	}

	found, err := r.ByID(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, key(), found.Key)
	_, err = r.ByID(t.Context(), id+1)
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)

	var paths []string
	require.NoError(t, r.Walk(t.Context(), virtual, func(path string) error {
		paths = append(paths, path)
		return nil
	}))
	require.Equal(t, []string{"another.git", path}, paths)
	require.ErrorIs(t, r.Walk(t.Context(), virtual, func(string) error { return context.Canceled }),
		context.Canceled)
	require.ErrorIs(t, r.Walk(t.Context(), "other", nil), coordinator.ErrUnknownVirtualStorage)
}
