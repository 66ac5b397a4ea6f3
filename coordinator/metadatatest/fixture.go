package metadatatest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

// The storages of all tests. The first is the primary.
const (
	virtual = coordinator.VirtualStorage("default")
	first   = coordinator.Storage("gitaly-1")
	second  = coordinator.Storage("gitaly-2")
	third   = coordinator.Storage("gitaly-3")
)

// The proxies of all tests. The first lives in each of them.
const (
	self  = coordinator.Incarnation(1)
	other = coordinator.Incarnation(2)
	extra = coordinator.Incarnation(3)
)

// long outlasts every test.
const long = time.Hour

// Enlist begins an incarnation under a name of its own that lives as long as a test.
func Enlist(tb testing.TB, store coordinator.Members) coordinator.Incarnation {
	tb.Helper()
	incarnation := coordinator.Incarnation(rand.Int64N(1<<63-1) + 1)
	enlist(tb, store, incarnation)
	return incarnation
}

func enlist(
	tb testing.TB, store coordinator.Members, incarnation coordinator.Incarnation,
) coordinator.Sequence {
	tb.Helper()
	last, err := store.Enlist(tb.Context(), coordinator.Enlistment{
		Incarnation: incarnation, Name: fmt.Sprintf("proxy-%d", incarnation), TTL: long,
	})
	require.NoError(tb, err)
	return last
}

func resign(t *testing.T, store coordinator.Store, incarnation coordinator.Incarnation) {
	t.Helper()
	require.NoError(t, store.Resign(t.Context(), incarnation))
}

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
		Participants: all(), Assigned: all(), Incarnation: self,
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

// intent is a new turn of this proxy in which all replicas take part.
func intent(id coordinator.RepositoryID) coordinator.Intent {
	return coordinator.Intent{
		Write: newWrite(), Repository: id, Incarnation: self, Kind: "references",
		Participants: all(),
	}
}

// hold takes the turn.
func hold(
	t *testing.T, store coordinator.Store, id coordinator.RepositoryID,
) coordinator.Intent {
	t.Helper()
	held := intent(id)
	_, err := store.OpenTurn(t.Context(), held)
	require.NoError(t, err)
	return held
}

// outcome raises the named replicas from where the repository stands. Nobody holds a turn for it.
func outcome(
	repository coordinator.Repository, raise ...coordinator.Storage,
) coordinator.WriteOutcome {
	return coordinator.WriteOutcome{
		Repository: repository.ID, Write: newWrite(), Epoch: repository.Epoch,
		Base: repository.Generation, Raise: raise,
	}
}

// write takes the turn for an outcome.
func write(
	t *testing.T, store coordinator.Store, repository coordinator.Repository,
	raise ...coordinator.Storage,
) coordinator.WriteOutcome {
	t.Helper()
	made := outcome(repository, raise...)
	made.Write = hold(t, store, repository.ID).Write
	return made
}

// record applies an outcome and returns what it made of the repository.
func record(
	t *testing.T, store coordinator.Store, made coordinator.WriteOutcome,
) coordinator.Repository {
	t.Helper()
	_, err := store.Record(t.Context(), made)
	require.NoError(t, err)
	return load(t, store, made.Repository)
}

// remove makes a repository one to be removed, which workers may begin with at once.
func remove(
	t *testing.T, store coordinator.Store, id coordinator.RepositoryID,
) coordinator.Repository {
	t.Helper()
	deleted, err := store.Delete(t.Context(), coordinator.Deletion{
		Repository: id, Write: hold(t, store, id).Write,
	})
	require.NoError(t, err)
	return deleted
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
	return record(t, store, write(t, store, ready(t, store, path), first, second))
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

// adopt adopts what it can for a proxy.
func adopt(
	t *testing.T, store coordinator.Store, adopter coordinator.Incarnation,
) []coordinator.Adoption {
	t.Helper()
	adopted, err := store.AdoptTurns(t.Context(), adopter, 10)
	require.NoError(t, err)
	return adopted
}

// How long and how often tests look for what takes time.
const (
	patience = 10 * time.Second
	tick     = 10 * time.Millisecond
)
