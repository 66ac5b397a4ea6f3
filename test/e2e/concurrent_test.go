package e2e_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestConcurrentPushes pushes twenty times at once to five repositories, half of it to a branch
// that others push to as well.
func TestConcurrentPushes(t *testing.T) {
	t.Parallel()

	const (
		repositories = 5
		racing       = 2
		alone        = 2
	)

	r := startRig(t, withPatience)

	var pushes []*pushing
	var repos []*repository
	for range repositories {
		repo := r.createRepository(t)
		repos = append(repos, repo)
		user := newCheckout(t, repo.remote())
		user.commit(t, "file", "base")
		user.mustGit(t, "push", "origin", "main")

		for i := range racing + alone {
			p := &pushing{repo: repo, user: clone(t, repo.remote()), branch: "main"}
			if i >= racing {
				p.branch = fmt.Sprintf("own-%d", i)
			}
			p.commit = p.user.commit(t, "file", fmt.Sprintf("change %d", i))
			pushes = append(pushes, p)
		}
	}

	var all sync.WaitGroup
	for _, p := range pushes {
		all.Go(func() { p.output, p.err = p.user.push(t.Context(), "HEAD:"+p.branch) })
	}
	all.Wait()

	for _, repo := range repos {
		repo.requireRaceOutcome(t, slices.DeleteFunc(slices.Clone(pushes), func(p *pushing) bool {
			return p.repo != repo
		}))
	}
}

// pushing is one of many pushes at once, and its result.
type pushing struct {
	repo   *repository
	user   *checkout
	branch string
	commit string
	output string
	err    error
}

// requireRaceOutcome demands that exactly one of the pushes to main won, that whoever pushed to a
// branch of his own won too, and that all of it is on all replicas.
func (r *repository) requireRaceOutcome(t *testing.T, pushes []*pushing) {
	t.Helper()

	require.Len(t, r.metadata(t).current(), len(r.rig.Nodes()))
	require.Empty(t, r.leftBehind(t))

	winners := map[string]int{}
	for _, p := range pushes {
		if p.err != nil {
			require.Equal(t, "main", p.branch, "nobody else pushed there: %s", p.output)
			require.Contains(t, p.output, "rejected]", "not a rejection that Git knows")

			continue
		}

		winners[p.branch]++
		for _, node := range r.rig.Nodes() {
			require.Equal(t, p.commit,
				reference(t, node, r.replicaPath, "refs/heads/"+p.branch), node.Storage)
		}
	}
	require.Equal(t, 1, winners["main"], "exactly one of the racing pushes wins")
	r.waitConverged(t)
}
