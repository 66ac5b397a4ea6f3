// Package metadatatest is the contract of coordinator.Store as tests. Every implementation runs it.
package metadatatest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

// Run tests the stores that open makes; each test asks for an empty one of its own.
func Run(t *testing.T, open func(t *testing.T) coordinator.Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, coordinator.Store){
		"create":                         testCreate,
		"create taken path":              testCreateTaken,
		"create unfilled":                testCreateUnfilled,
		"creation expires":               testCreationExpires,
		"paths":                          testPaths,
		"record":                         testRecord,
		"record leaves behind":           testRecordLeavesBehind,
		"record twice":                   testRecordTwice,
		"record superseded":              testRecordSuperseded,
		"record needs a primary":         testRecordNeedsPrimary,
		"record during creation":         testRecordDuringCreation,
		"record keeps unassigned out":    testRecordUnassigned,
		"records exclude each other":     testRecordsConcurrent,
		"confirm":                        testConfirm,
		"confirm too late":               testConfirmTooLate,
		"hasten repair":                  testHasten,
		"verification":                   testVerification,
		"elect":                          testElect,
		"elect concurrently":             testElectConcurrent,
		"delete":                         testDelete,
		"removals":                       testRemovals,
		"removal waits for repair":       testRemovalWaits,
		"claim":                          testClaim,
		"claim order":                    testClaimOrder,
		"claims exclude each other":      testClaimsConcurrent,
		"repair":                         testRepair,
		"repair never lowers":            testRepairNeverLowers,
		"repair overtaken by a write":    testRepairOvertaken,
		"repair and record concurrent":   testRepairRecordConcurrent,
		"repair loses its claim":         testRepairLosesClaim,
		"repair of a deleted repository": testRepairDeleted,
		"repair postponed":               testRepairPostponed,
		"joining":                        testJoining,
		"emptying":                       testEmptying,
		"caller has left":                testCallerLeft,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// The storages of all tests. The first is the primary.
const (
	virtual = coordinator.VirtualStorage("default")
	first   = coordinator.Storage("gitaly-1")
	second  = coordinator.Storage("gitaly-2")
	third   = coordinator.Storage("gitaly-3")
)

// long outlasts every test.
const long = time.Hour

func all() []coordinator.Storage { return []coordinator.Storage{first, second, third} }

func newID() coordinator.RepositoryID {
	return coordinator.RepositoryID(rand.Int64N(1<<63-1) + 1)
}

func newWrite() coordinator.WriteID { return coordinator.WriteID(rand.Int64N(1<<63-1) + 1) }

func newClaim() coordinator.ClaimID { return coordinator.ClaimID(rand.Int64N(1<<63-1) + 1) }

// creation describes a repository on all storages.
func creation(path string) coordinator.Creation {
	id := newID()
	return coordinator.Creation{
		ID: id, Key: coordinator.Key{VirtualStorage: virtual, RelativePath: path},
		ReplicaPath: coordinator.ReplicaPath(id, path), Primary: first,
		Participants: all(), Assigned: all(), TTL: long,
	}
}

// ready makes a repository whose replicas are all current at generation 0 and epoch 1.
func ready(t *testing.T, store coordinator.Store, path string) coordinator.Repository {
	t.Helper()
	return readyFrom(t, store, creation(path))
}

func readyFrom(
	t *testing.T, store coordinator.Store, from coordinator.Creation,
) coordinator.Repository {
	t.Helper()
	require.NoError(t, store.Create(t.Context(), from))
	require.NoError(t, store.Complete(t.Context(), from.ID))
	return load(t, store, from.ID)
}

func load(
	t *testing.T, store coordinator.Store, id coordinator.RepositoryID,
) coordinator.Repository {
	t.Helper()
	repository, err := store.Load(t.Context(), id)
	require.NoError(t, err)
	return repository
}

// write is an outcome that raises the named replicas from where the repository stands.
func write(
	repository coordinator.Repository, raise ...coordinator.Storage,
) coordinator.WriteOutcome {
	return coordinator.WriteOutcome{
		Repository: repository.ID, Write: newWrite(), Epoch: repository.Epoch,
		Base: repository.Generation, Raise: raise,
	}
}

// record applies an outcome and returns what it made of the repository.
func record(
	t *testing.T, store coordinator.Store, outcome coordinator.WriteOutcome,
) coordinator.Repository {
	t.Helper()
	_, err := store.Record(t.Context(), outcome)
	require.NoError(t, err)
	return load(t, store, outcome.Repository)
}

// generations lists the replicas' generations in the order of all.
func generations(repository coordinator.Repository) []coordinator.Generation {
	list := make([]coordinator.Generation, 0, len(repository.Replicas))
	for _, replica := range repository.Replicas {
		list = append(list, replica.Generation)
	}
	return list
}

// claimAll claims whatever is due on the storages.
func claimAll(
	t *testing.T, store coordinator.Store, ttl time.Duration, storages ...coordinator.Storage,
) []coordinator.RepairClaim {
	t.Helper()
	request := coordinator.RepairRequest{Claim: newClaim(), TTL: ttl}
	for _, storage := range storages {
		request.Targets = append(request.Targets, coordinator.RepairTarget{
			VirtualStorage: virtual, Storage: storage, Limit: 10,
		})
	}
	claims, err := store.ClaimRepairs(t.Context(), request)
	require.NoError(t, err)
	return claims
}

// outdated makes a repository whose third replica is one write behind and due for repair.
func outdated(t *testing.T, store coordinator.Store, path string) coordinator.Repository {
	t.Helper()
	return record(t, store, write(ready(t, store, path), first, second))
}

// claimed is outdated, with a claim on the third replica.
func claimed(
	t *testing.T, store coordinator.Store,
) (coordinator.Repository, coordinator.RepairClaim) {
	t.Helper()
	repository := outdated(t, store, "repository.git")
	claims := claimAll(t, store, long, third)
	require.Len(t, claims, 1)
	return repository, claims[0]
}
