package e2e_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"praefect/test/cluster"
)

// victim is who fails, and how.
type victim string

const (
	killedPrimary   victim = "primary killed"
	killedSecondary victim = "secondary killed"
	frozenSecondary victim = "secondary frozen"
	killedClient    victim = "client killed"
)

// TestKill kills or freezes somebody while a push of two branches stands still at some point.
// Whatever came of the push: replicas that are recorded as current are equal, the same branch can
// be written within ten seconds, and when the victim is back all replicas are equal and no lock is
// left.
//
// Requirements: T179
func TestKill(t *testing.T) {
	t.Parallel()

	points := []point{
		atPreReceive, atUpdate, atPrepared, atPromised, atCommitted, atConfirmed, atPostReceive,
	}
	for _, who := range []victim{killedPrimary, killedSecondary, frozenSecondary, killedClient} {
		for _, at := range points {
			t.Run(string(who)+"/"+string(at), func(t *testing.T) {
				t.Parallel()
				testKill(t, who, at)
			})
		}
	}
}

func testKill(t *testing.T, who victim, at point) {
	t.Helper()

	r := startRig(t, withSwitchboards, withGatewayLog)
	repo := r.createRepository(t)
	user := newCheckout(t, repo.remote())
	user.commit(t, "file", "base")
	_, err := user.push(t.Context(), "main")
	require.NoError(t, err)
	repo.waitCurrent(t)

	node := repo.primary(t)
	if who == killedSecondary || who == frozenSecondary {
		node = repo.secondary(t)
	}
	board := r.boards[node.Storage]
	release := board.stopAt(t, repo.replicaPath, at)

	commit := user.commit(t, "file", "change")
	pushing, err := startGroup(user.command(t.Context(), "push", "origin", "main", "main:other"))
	require.NoError(t, err)
	board.waitReached(t, repo.replicaPath, at)
	r.fail(t, who, node, pushing)
	release()

	acknowledged := pushing.wait(t) == nil
	if who == killedSecondary || who == frozenSecondary {
		require.True(t, acknowledged, "a sick secondary fails no push: %s", pushing.output())
	}
	repo.requireConsistent(t)
	repo.requireWritable(t)
	if acknowledged {
		repo.requireContains(t, commit, "main", "other")
	}
	heal(t, node)
	repo.waitConverged(t)
}

// fail lets the victim fail.
func (r *rig) fail(t *testing.T, who victim, node *cluster.Node, client *group) {
	t.Helper()

	switch who {
	case killedPrimary, killedSecondary:
		require.NoError(t, node.Kill())
	case frozenSecondary:
		require.NoError(t, node.Process().Pause())
	case killedClient:
		client.kill(t)
		r.waitGone(t)
	}
}

// heal brings a node back that was killed or frozen.
func heal(t *testing.T, node *cluster.Node) {
	t.Helper()

	if node.Process().Running() {
		require.NoError(t, node.Process().Resume())

		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), waitLong)
	defer cancel()
	require.NoError(t, node.Start(ctx))
}

// requireWritable demands that the branch main can be written within the promised time.
func (r *repository) requireWritable(t *testing.T) {
	t.Helper()

	user := newCheckout(t, r.remote())
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		// A read that reaches a frozen node hangs. Whoever tries again is sent elsewhere as soon
		// as the node is found not to answer.
		ctx, cancel := context.WithTimeout(t.Context(), promised/3)
		defer cancel()

		_, err := user.git(ctx, "fetch", "--quiet", "origin", "main")
		require.NoError(c, err)
		_, err = user.git(ctx, "reset", "--quiet", "--hard", "origin/main")
		require.NoError(c, err)
		_, err = user.git(ctx, "commit", "--quiet", "--allow-empty", "-m", "after the fault")
		require.NoError(c, err)
		_, err = user.push(ctx, "HEAD:main")
		require.NoError(c, err)
	}, promised, tick, "main cannot be written")
}

// requireContains demands that branches of a clone have the commit.
func (r *repository) requireContains(t *testing.T, commit string, branches ...string) {
	t.Helper()

	copied := clone(t, r.remote())
	for _, branch := range branches {
		copied.mustGit(t, "merge-base", "--is-ancestor", commit, "origin/"+branch)
	}
}
