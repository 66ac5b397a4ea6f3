package metadatatest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

func operationTests() map[string]func(*testing.T, coordinator.Store) {
	return map[string]func(*testing.T, coordinator.Store){
		"deficient":         testDeficient,
		"assign":            testAssign,
		"assign needs turn": testAssignNeedsTurn,
		"filling":           testFilling,
		"appoint":           testAppoint,
		"appoint refused":   testAppointRefused,
		"appoint breaks":    testAppointBreaks,
		"track":             testTrack,
		"forget":            testForget,
		"untracked":         testUntracked,
	}
}

func testDeficient(t *testing.T, store coordinator.Store) {
	t.Helper()
	lagging := outdated(t, store, "b.git")
	ready(t, store, "a.git")
	ready(t, store, "c.git")
	look := func(after string, limit int, healthy ...coordinator.Storage) ([]string, string) {
		found, next, err := store.Deficient(t.Context(), coordinator.Window{
			Page: coordinator.Page{
				VirtualStorage: virtual, After: after, Limit: limit,
			},
			Configured: all(), Healthy: healthy,
		})
		require.NoError(t, err)
		var paths []string
		for _, repository := range found {
			paths = append(paths, repository.Key.RelativePath)
		}
		return paths, next
	}
	paths, next := look("", 10, all()...)
	require.Equal(t, []string{"b.git"}, paths)
	require.Empty(t, next)
	paths, _ = look("", 10, first, second)
	require.Equal(t, []string{"a.git", "b.git", "c.git"}, paths, "one storage is away")
	paths, next = look("", 1, all()...)
	require.Empty(t, paths, "the window has another repository")
	require.Equal(t, "a.git", next)
	paths, next = look(next, 1, all()...)
	require.Equal(t, []string{"b.git"}, paths)
	require.Equal(t, "b.git", next)
	paths, _ = look("a.git", 10)
	require.Len(t, paths, 2)
	require.Equal(t, lagging.ID, load(t, store, lagging.ID).ID)
}

func testAssign(t *testing.T, store coordinator.Store) {
	t.Helper()
	from := creation("repository.git")
	from.Everywhere = true
	repository := readyFrom(t, store, from)
	assign := func(assigned ...coordinator.Storage) coordinator.Repository {
		after, err := store.Assign(t.Context(), coordinator.Assignment{
			Repository: repository.ID, Write: hold(t, store, repository.ID).Write,
			Assigned: assigned, Configured: append(all(), "gitaly-4"),
		})
		require.NoError(t, err)
		require.False(t, after.TurnHeld)
		return after
	}
	less := assign(first)
	require.Greater(t, less.Invalidated, repository.Invalidated)
	require.Equal(t, []bool{true, false, false}, assignments(less))
	require.True(t, less.Current(second), "it is there until a worker drops it")
	record(t, store, write(t, store, less, first))
	require.Empty(t, claimAll(t, store, long, all()...), "nobody repairs what is not assigned")

	more := assign(first, third, "gitaly-4")
	require.Equal(t, []bool{true, false, true, true}, assignments(more))
	require.Equal(t, coordinator.Absent, more.Replicas[3].Generation)
	claims := claimAll(t, store, long, append(all(), "gitaly-4")...)
	require.Len(t, claims, 2)
}

// testFilling assigns a repository to more storages. Until a repair has made them current they are
// filling; after that they are not, whatever becomes of them, until they are assigned anew.
func testFilling(t *testing.T, store coordinator.Store) {
	t.Helper()
	from := creation("repository.git")
	from.Assigned = append(all(), "gitaly-4")
	repository := readyFrom(t, store, from)
	require.Empty(t, fillings(repository), "it was created without, and that counts")
	storages := append(all(), "gitaly-4", "gitaly-5")
	assign := func(assigned ...coordinator.Storage) coordinator.Repository {
		after, err := store.Assign(t.Context(), coordinator.Assignment{
			Repository: repository.ID, Write: hold(t, store, repository.ID).Write,
			Assigned: assigned, Configured: storages,
		})
		require.NoError(t, err)
		return after
	}
	require.Empty(t, fillings(assign(first, second)))
	require.Empty(t, fillings(assign(first, second, third)), "the third is current still")
	less := assign(first)
	record(t, store, write(t, store, less, first))
	require.Equal(t, []coordinator.Storage{second, "gitaly-5"},
		fillings(assign(first, second, "gitaly-5")))
	require.Equal(t, []coordinator.Storage{second, third, "gitaly-4", "gitaly-5"},
		fillings(assign(storages...)))

	for _, claim := range claimAll(t, store, long, second) {
		current := load(t, store, repository.ID)
		require.NoError(t, store.FinishRepair(t.Context(), claim, 0))
		require.Contains(t, fillings(load(t, store, repository.ID)), second, "an older copy")
		require.Equal(t, current.Generation, load(t, store, repository.ID).Generation)
	}
	for _, claim := range claimAll(t, store, long, second) {
		require.NoError(t, store.FinishRepair(t.Context(), claim, 1))
	}
	require.NotContains(t, fillings(load(t, store, repository.ID)), second)
	record(t, store, write(t, store, load(t, store, repository.ID), first))
	require.NotContains(t, fillings(load(t, store, repository.ID)), second, "it is behind again")
	require.NotContains(t, fillings(assign(first, second, third)), second)
	require.Contains(t, fillings(load(t, store, repository.ID)), third)
	_, err := store.Appoint(t.Context(), coordinator.Appointment{
		Repository: repository.ID, Storage: third, Absent: true,
	})
	require.NoError(t, err)
	require.Empty(t, fillings(load(t, store, repository.ID)))
	require.Empty(t, fillings(assign(third)))
}

// fillings lists the storages that are being filled for the first time.
func fillings(repository coordinator.Repository) []coordinator.Storage {
	var storages []coordinator.Storage
	for _, replica := range repository.Replicas {
		if replica.Filling {
			storages = append(storages, replica.Storage)
		}
	}
	return storages
}

func assignments(repository coordinator.Repository) []bool {
	var list []bool
	for _, replica := range repository.Replicas {
		list = append(list, replica.Assigned)
	}
	return list
}

func testAssignNeedsTurn(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	assignment := coordinator.Assignment{
		Repository: repository.ID, Write: newWrite(), Assigned: all(), Configured: all(),
	}
	_, err := store.Assign(t.Context(), assignment)
	require.ErrorIs(t, err, coordinator.ErrSuperseded)
	assignment.Write = hold(t, store, repository.ID).Write
	assignment.Assigned = []coordinator.Storage{second}
	_, err = store.Assign(t.Context(), assignment)
	require.ErrorIs(t, err, coordinator.ErrSuperseded, "without the primary")
	assignment.Repository = newID()
	_, err = store.Assign(t.Context(), assignment)
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
	require.True(t, load(t, store, repository.ID).TurnHeld)
}

func testAppoint(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := outdated(t, store, "repository.git")
	after, err := store.Appoint(t.Context(), coordinator.Appointment{
		Repository: repository.ID, Write: hold(t, store, repository.ID).Write, Storage: third,
	})
	require.NoError(t, err)
	require.False(t, after.TurnHeld)
	require.Equal(t, third, after.Primary)
	require.Equal(t, repository.Generation+1, after.Generation)
	require.Equal(t, repository.Epoch+1, after.Epoch)
	require.Greater(t, after.Invalidated, repository.Invalidated)
	require.True(t, after.Current(third))
	require.False(t, after.Current(first))
	require.Len(t, claimAll(t, store, long, all()...), 2, "the others are repaired")
	require.Empty(t, claimVerifications(t, store), "nothing is in doubt")
}

func testAppointRefused(t *testing.T, store coordinator.Store) {
	t.Helper()
	from := creation("repository.git")
	from.Participants = []coordinator.Storage{first, second}
	repository := readyFrom(t, store, from)
	appointment := coordinator.Appointment{
		Repository: repository.ID, Write: hold(t, store, repository.ID).Write, Storage: third,
	}
	_, err := store.Appoint(t.Context(), appointment)
	require.ErrorIs(t, err, coordinator.ErrNoReplica, "it is empty")
	claims := claimAll(t, store, long, third)
	appointment.Absent = true
	_, err = store.Appoint(t.Context(), appointment)
	require.ErrorIs(t, err, coordinator.ErrBusy, "a repair is writing to it")
	require.NoError(t, store.PostponeRepair(t.Context(), claims[0], coordinator.Postponement{}))
	appointment.Storage = "gitaly-4"
	_, err = store.Appoint(t.Context(), appointment)
	require.ErrorIs(t, err, coordinator.ErrNoReplica)
	appointment.Storage, appointment.Write = third, newWrite()
	_, err = store.Appoint(t.Context(), appointment)
	require.ErrorIs(t, err, coordinator.ErrTurnTaken)
	require.Equal(t, repository.Generation, load(t, store, repository.ID).Generation)
	appointment.Repository = newID()
	_, err = store.Appoint(t.Context(), appointment)
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
}

// testAppointBreaks has a turn that nobody can decide: late acts of its participants are expected.
func testAppointBreaks(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	held := hold(t, store, repository.ID)
	appointment := coordinator.Appointment{
		Repository: repository.ID, Storage: second, Settle: long,
	}
	_, err := store.Appoint(t.Context(), appointment)
	require.ErrorIs(t, err, coordinator.ErrTurnTaken, "its proxy lives")
	require.NoError(t, store.MarkTurn(t.Context(), repository.ID, held.Write,
		[]coordinator.Storage{first}))
	adopted := adopt(t, store, self)
	require.Len(t, adopted, 1)
	after, err := store.Appoint(t.Context(), appointment)
	require.NoError(t, err)
	require.False(t, after.TurnHeld)
	_, err = store.Resolve(t.Context(), coordinator.Resolution{
		Repository: repository.ID, Write: held.Write, Owner: self, Number: adopted[0].Number,
		Epoch: adopted[0].Snapshot.Epoch, Base: adopted[0].Snapshot.Generation,
		Keep: all(), Primary: first,
	})
	require.ErrorIs(t, err, coordinator.ErrSuperseded)
	settled := map[coordinator.Storage]bool{}
	for _, claim := range claimAll(t, store, long, all()...) {
		settled[claim.Storage] = claim.Settling
	}
	require.Equal(t, map[coordinator.Storage]bool{first: false, third: true}, settled)
}

func tracking(path string) coordinator.Tracking {
	return coordinator.Tracking{
		ID:          newID(),
		Key:         coordinator.Key{VirtualStorage: virtual, RelativePath: path},
		ReplicaPath: "@hashed/" + path, Primary: first, Present: []coordinator.Storage{first},
		Assigned: []coordinator.Storage{first, second},
	}
}

func testTrack(t *testing.T, store coordinator.Store) {
	t.Helper()
	wanted := tracking("repository.git")
	require.NoError(t, store.Track(t.Context(), wanted))
	repository, err := store.Lookup(t.Context(), wanted.Key)
	require.NoError(t, err)
	require.Equal(t, wanted.ID, repository.ID)
	require.Equal(t, wanted.ReplicaPath, repository.ReplicaPath)
	require.Equal(t, first, repository.Primary)
	require.Equal(t, []coordinator.Generation{0, -1}, generations(repository))
	require.Equal(t, []coordinator.Storage{second}, fillings(repository))
	require.Len(t, claimAll(t, store, long, all()...), 1)

	for reason, change := range map[string]func(*coordinator.Tracking){
		"key":  func(again *coordinator.Tracking) { again.Key = wanted.Key },
		"path": func(again *coordinator.Tracking) { again.ReplicaPath = wanted.ReplicaPath },
		"id":   func(again *coordinator.Tracking) { again.ID = wanted.ID },
	} {
		again := tracking("other.git")
		change(&again)
		require.ErrorIs(t, store.Track(t.Context(), again), coordinator.ErrRepositoryExists,
			reason)
	}
	remove(t, store, wanted.ID)
	again := tracking("other.git")
	again.ReplicaPath = wanted.ReplicaPath
	require.ErrorIs(t, store.Track(t.Context(), again), coordinator.ErrRepositoryExists,
		"it is being removed from the disks")
}

func testForget(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	require.ErrorIs(t, store.Forget(t.Context(), coordinator.Key{
		VirtualStorage: virtual, RelativePath: "none.git",
	}), coordinator.ErrRepositoryNotFound)
	held := hold(t, store, repository.ID)
	require.ErrorIs(t, store.Forget(t.Context(), repository.Key), coordinator.ErrTurnTaken)
	require.NoError(t, store.MarkTurn(t.Context(), repository.ID, held.Write, nil))
	require.NoError(t, store.Forget(t.Context(), repository.Key))
	_, err := store.Load(t.Context(), repository.ID)
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
	renewed, err := store.Renew(t.Context(), coordinator.Renewal{Incarnation: self, TTL: long})
	require.NoError(t, err)
	require.Equal(t, repository.Key, renewed.Invalidations[0].Key)
}

func testUntracked(t *testing.T, store coordinator.Store) {
	t.Helper()
	wanted := tracking("repository.git")
	require.NoError(t, store.Track(t.Context(), wanted))
	look := func(storage coordinator.Storage) []string {
		found, err := store.Untracked(t.Context(),
			coordinator.Place{VirtualStorage: virtual, Storage: storage},
			[]string{"z.git", wanted.ReplicaPath, "a.git"})
		require.NoError(t, err)
		return found
	}
	require.Equal(t, []string{"z.git", "a.git"}, look(first))
	require.Len(t, look(third), 3, "it has no replica there")
	remove(t, store, wanted.ID)
	require.Len(t, look(first), 2, "it is being removed")
	selection := coordinator.Selection{VirtualStorage: virtual}
	marked, err := store.Unverify(t.Context(), selection, 10)
	require.NoError(t, err)
	require.Zero(t, marked, fmt.Sprint("nothing is verified yet: ", selection))
}
