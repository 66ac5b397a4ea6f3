package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/test/cluster"
)

// TestSecondaryVotesDifferently lets one secondary vote on something else: it is outvoted, recorded
// as outdated and repaired, and the push succeeds.
//
// Requirements: T006, T010, T011
func TestSecondaryVotesDifferently(t *testing.T) {
	t.Parallel()

	r := startRig(t, withSwitchboards, withPatience)
	repo := r.createRepository(t)
	user := newCheckout(t, repo.remote())
	user.commit(t, "file", "one")
	user.mustGit(t, "push", "origin", "main")

	// The node is kept from ending its part of the push, because its repair would begin then.
	node := repo.secondary(t)
	board := r.boards[node.Storage]
	board.differ(t, repo.replicaPath)
	release := board.stopAt(t, repo.replicaPath, atPromised)

	before := repo.metadata(t)
	commit := user.commit(t, "file", "two")
	user.mustGit(t, "push", "origin", "main")

	after := repo.metadata(t)
	require.Greater(t, after.generation, before.generation)
	require.NotContains(t, after.current(), node.Storage)
	require.Len(t, after.current(), len(r.Nodes())-1)
	require.NotEqual(t, commit, reference(t, node, repo.replicaPath, "refs/heads/main"))
	repo.requireConsistent(t)

	release()
	repo.waitConverged(t)
	require.Equal(t, []string{node.Storage}, repo.leftBehind(t))
	require.Equal(t, commit, reference(t, node, repo.replicaPath, "refs/heads/main"))

	board.agree(t, repo.replicaPath)
	user.commit(t, "file", "three")
	user.mustGit(t, "push", "origin", "main")
	require.Len(t, repo.metadata(t).current(), len(r.Nodes()))
}

// TestNoQuorum lets so many nodes vote differently that there is no quorum with the primary: the
// push fails, nothing changes on any disk, and nobody is recorded as outdated, because nobody
// committed anything.
func TestNoQuorum(t *testing.T) {
	t.Parallel()

	r := startRig(t, withSwitchboards, withPatience)

	for _, tc := range []struct {
		name string
		// dissents tells who votes on something else.
		dissents func(node *cluster.Node, primary string) bool
	}{
		{
			name:     "both secondaries",
			dissents: func(n *cluster.Node, primary string) bool { return n.Storage != primary },
		},
		{
			name:     "the primary",
			dissents: func(n *cluster.Node, primary string) bool { return n.Storage == primary },
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()

			repo := r.createRepository(t)
			user := newCheckout(t, repo.remote())
			base := user.commit(t, "file", "one")
			user.mustGit(t, "push", "origin", "main")

			before := repo.metadata(t)
			var dissenting []*switchboard
			for _, node := range r.Nodes() {
				if tc.dissents(node, before.primary) {
					dissenting = append(dissenting, r.boards[node.Storage])
					r.boards[node.Storage].differ(t, repo.replicaPath)
				}
			}

			user.commit(t, "file", "two")
			_, err := user.push(t.Context(), "main")
			require.Error(t, err)

			require.Equal(t, before, repo.metadata(t))
			repo.requireConsistent(t)
			for _, node := range r.Nodes() {
				require.Equal(t, base, reference(t, node, repo.replicaPath, "refs/heads/main"))
			}

			for _, board := range dissenting {
				board.agree(t, repo.replicaPath)
			}
			user.mustGit(t, "push", "origin", "main")
			require.Len(t, repo.metadata(t).current(), len(r.Nodes()))
			require.Empty(t, repo.leftBehind(t))
			repo.waitConverged(t)
		})
	}
}
