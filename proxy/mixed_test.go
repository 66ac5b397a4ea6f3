package proxy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/proxy/gitalypb"
)

// older is a node of a version that knows no PREPARING.
func older(hash string) script {
	return func(v *visit) error {
		if v.vote(prepared, hash) != commit || v.vote(committed, hash) != commit {
			return errAborted
		}
		return v.SendMsg(&gitalypb.UserCreateBranchResponse{})
	}
}

// TestMixedVersions writes while some nodes announce what they are about to do and others do not,
// in both roles, again and again: nobody waits for an announcement that does not come, and nobody
// falls behind.
func TestMixedVersions(t *testing.T) {
	t.Parallel()
	for name, versions := range map[string][3]func(string) script{
		"older primary":           {older, change, change},
		"older secondary":         {change, older, change},
		"older secondaries":       {change, older, older},
		"newer secondary":         {older, older, change},
		"all older":               {older, older, older},
		"older primary, and last": {older, change, older},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			before := c.state(relativePath).Generation
			const writes = 5
			for range writes {
				for i, n := range c.nodes {
					n.on(createBranch, versions[i]("v"))
				}
				written := c.createBranch(t.Context())
				require.NoError(t, written.err)
				require.Equal(t, "recorded", written.outcome)
			}
			require.Equal(t, before+writes, c.state(relativePath).Generation)
			require.Equal(t, []string{"node-1", "node-2", "node-3"}, c.current())

			c.nodes[1].on(createBranch, versions[1]("other"))
			require.NoError(t, c.createBranch(t.Context()).err)
			require.Equal(t, []string{"node-1", "node-3"}, c.current(),
				"votes of either version are compared")
		})
	}
}
