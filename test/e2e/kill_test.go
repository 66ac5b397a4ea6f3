package e2e_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"praefect/test/cluster"
)

// victim is who is killed.
type victim string

const (
	thePrimary   victim = "primary"
	theSecondary victim = "secondary"
	theClient    victim = "client"
)

// TestKill kills the primary, a secondary or the client while a push stands still at some point.
// Whatever came of the push: replicas that are recorded as current are equal, the same branch can
// be written within ten seconds, and when the victim is back all replicas are equal and no lock is
// left.
func TestKill(t *testing.T) {
	t.Parallel()

	points := []point{atPreReceive, atUpdate, atPrepared, atPromised, atCommitted, atPostReceive}
	for _, who := range []victim{thePrimary, theSecondary, theClient} {
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
	if who == theSecondary {
		node = repo.secondary(t)
	}
	board := r.boards[node.Storage]
	release := board.stopAt(t, repo.replicaPath, at)

	commit := user.commit(t, "file", "change")
	pushing, err := startGroup(user.command(t.Context(), "push", "origin", "main"))
	require.NoError(t, err)
	board.waitReached(t, repo.replicaPath, at)

	if who == theClient {
		pushing.kill(t)
		r.waitGone(t)
		release()
	} else {
		require.NoError(t, node.Kill())
		release()
	}
	acknowledged := pushing.wait(t) == nil
	if who == theSecondary {
		require.True(t, acknowledged, "a dead secondary must not fail a push: %s", pushing.output())
	}

	repo.requireConsistent(t)
	repo.requireWritable(t)
	if acknowledged {
		repo.requireContains(t, commit)
	}
	if who != theClient {
		restart(t, node)
	}
	repo.waitConverged(t)
}

// requireWritable demands that the branch main can be written within the promised time.
func (r *repository) requireWritable(t *testing.T) {
	t.Helper()

	user := newCheckout(t, r.remote())
	ctx, cancel := context.WithTimeout(t.Context(), promised)
	defer cancel()

	require.EventuallyWithT(t, func(c *assert.CollectT) {
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

// requireContains demands that a clone of main has the commit.
func (r *repository) requireContains(t *testing.T, commit string) {
	t.Helper()

	clone(t, r.remote()).mustGit(t, "merge-base", "--is-ancestor", commit, "origin/main")
}

// restart starts a dead node again.
func restart(t *testing.T, node *cluster.Node) {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), waitLong)
	defer cancel()
	require.NoError(t, node.Start(ctx))
}
