package metadatatest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

func electionTests() map[string]func(*testing.T, coordinator.Store) {
	return map[string]func(*testing.T, coordinator.Store){
		"elect":                testElect,
		"elect needs the turn": testElectNeedsTurn,
	}
}

// elect takes the turn and makes somebody primary.
func elect(
	t *testing.T, store coordinator.Store, election coordinator.Election,
) coordinator.Repository {
	t.Helper()
	election.Write = hold(t, store, election.Repository).Write
	after, err := store.Elect(t.Context(), election)
	require.NoError(t, err)
	require.False(t, after.TurnHeld, "the turn is given back in any case")
	return after
}

func testElect(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := outdated(t, store, "repository.git")
	run := func(epoch coordinator.Epoch, candidate coordinator.Storage) coordinator.Repository {
		return elect(t, store, coordinator.Election{
			Repository: repository.ID, Epoch: epoch, Candidate: candidate,
		})
	}
	require.Equal(t, repository, run(1, third), "an outdated replica never becomes primary")
	require.Equal(t, repository, run(0, second), "nor anybody in an old epoch")
	require.Equal(t, repository, run(1, "gitaly-4"))

	after := run(1, second)
	require.Equal(t, second, after.Primary)
	require.Equal(t, coordinator.Epoch(2), after.Epoch)
	require.Equal(t, repository.Generation, after.Generation)
	require.Greater(t, after.Invalidated, repository.Invalidated)
	require.Equal(t, after, load(t, store, repository.ID))
	_, err := store.Record(t.Context(), write(t, store, repository, first, second))
	require.ErrorIs(t, err, coordinator.ErrSuperseded, "writes of the old epoch are over")
	_, err = store.Elect(t.Context(), coordinator.Election{Repository: newID()})
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
}

func testElectNeedsTurn(t *testing.T, store coordinator.Store) {
	t.Helper()
	repository := ready(t, store, "repository.git")
	election := coordinator.Election{
		Repository: repository.ID, Write: newWrite(), Epoch: 1, Candidate: second,
	}
	_, err := store.Elect(t.Context(), election)
	require.ErrorIs(t, err, coordinator.ErrSuperseded, "nobody holds the turn")
	held := hold(t, store, repository.ID)
	_, err = store.Elect(t.Context(), election)
	require.ErrorIs(t, err, coordinator.ErrSuperseded, "somebody else does")
	require.True(t, load(t, store, repository.ID).TurnHeld)

	require.NoError(t, store.MarkTurn(t.Context(), repository.ID, held.Write, nil))
	election.Write = held.Write
	_, err = store.Elect(t.Context(), election)
	require.ErrorIs(t, err, coordinator.ErrSuperseded, "it is left to recovery")
	require.Equal(t, first, load(t, store, repository.ID).Primary)
}
