package acceptance_test

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

// assigned lists the storages that a repository is meant to be on.
func assigned(answer *gitalypb.GetRepositoryMetadataResponse) []string {
	var storages []string
	for _, replica := range answer.GetReplicas() {
		if replica.GetAssigned() {
			storages = append(storages, replica.GetStorage())
		}
	}

	return storages
}

// size is how many bytes the files of a replica have; 0 if there is none.
func size(t *testing.T, node *cluster.Node, replicaPath string) int64 {
	t.Helper()
	var sum int64
	root := node.Path(replicaPath)
	_ = filepath.WalkDir(root, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil //nolint:nilerr // A file that was there a moment ago.
		}
		info, err := entry.Info()
		if err == nil {
			sum += info.Size()
		}

		return nil
	})

	return sum
}

// without takes a node out of a configuration.
func without(text, storage string) string {
	blocks := strings.Split(text, "[[virtual_storage.node]]")
	kept := blocks[:1]
	for _, block := range blocks[1:] {
		if !strings.Contains(block, fmt.Sprintf("storage = %q\n", storage)) {
			kept = append(kept, block)
		}
	}

	return strings.Join(kept, "[[virtual_storage.node]]")
}

// TestT143DefaultReplicationFactor sets a factor of three with five nodes: new repositories are on
// three of them, the primary among them, and take three times the room; older ones stay. Without
// one of the nodes there are fewer.
//
// Requirements: T144, T148, T154
func TestT143DefaultReplicationFactor(t *testing.T) {
	t.Parallel()
	const (
		nodes, factor = 5, 3
		repositories  = 10
		content       = 1 << 20
	)
	var storages []string
	for number := range nodes {
		storages = append(storages, fmt.Sprintf("gitaly-%d", number+1))
	}
	c := start(t, cluster.Config{Storages: storages})
	proxy := c.Proxy()
	conn := dialled(t, c, proxy.Address)
	old := create(t, conn, "old.git")
	require.Len(t, assigned(recorded(t.Context(), t, conn, old)), nodes)
	restart(t, proxy, func(text string) string {
		return strings.Replace(text, "name = \"default\"\n",
			fmt.Sprintf("name = \"default\"\ndefault_replication_factor = %d\n", factor), 1)
	})

	used := map[string]bool{}
	for i := range repositories {
		repository := create(t, conn, fmt.Sprintf("new-%d.git", i))
		found := recorded(t.Context(), t, conn, repository)
		require.Len(t, assigned(found), factor)
		require.Contains(t, assigned(found), found.GetPrimary())
		for _, storage := range assigned(found) {
			used[storage] = true
		}
	}
	require.Greater(t, len(used), factor, "always the same storages")
	require.Len(t, assigned(recorded(t.Context(), t, conn, old)), nodes)

	repository := &gitalypb.Repository{StorageName: "default", RelativePath: "new-0.git"}
	commitReadme(t, conn, repository, strings.Repeat("0123456789abcdef", content/16))
	awaitCurrent(t, conn, repository, factor)
	found := recorded(t.Context(), t, conn, repository)
	var sizes []int64
	for _, node := range c.Nodes() {
		if bytes := size(t, node, found.GetReplicaPath()); bytes > 0 {
			require.Contains(t, assigned(found), node.Storage)
			sizes = append(sizes, bytes)
		}
	}
	require.Len(t, sizes, factor)
	require.InEpsilon(t, factor*sizes[0], sizes[0]+sizes[1]+sizes[2], 0.2)

	gone := assigned(found)[0]
	restart(t, proxy, func(text string) string { return without(text, gone) })
	left := assigned(recorded(t.Context(), t, conn, repository))
	require.Len(t, left, factor-1)
	require.NotContains(t, left, gone)
}
