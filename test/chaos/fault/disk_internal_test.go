package fault

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"praefect/test/cluster"
)

// startNode starts a node on a disk that can be filled.
func startNode(t *testing.T, mount bool) (*cluster.Node, *Disks) {
	t.Helper()

	dir := t.TempDir()
	programs, err := cluster.Build(t.Context(), dir)
	require.NoError(t, err)
	disks := &Disks{}
	if mount {
		disks, err = PrepareDisks([]string{filepath.Join(dir, "disks", "gitaly-1")})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, disks.Close()) })
		if !disks.Mounted() {
			t.Skip("file systems cannot be mounted here")
		}
	}

	started, err := cluster.Start(t.Context(), cluster.Config{
		Programs: programs, Dir: dir, Storages: []string{"gitaly-1"}, NodeWrapper: disks.Wrapper(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, started.Close()) })

	return started.Nodes()[0], disks
}

// TestDiskFull fills a disk and looks whether the node notices, in both ways.
func TestDiskFull(t *testing.T) {
	t.Parallel()

	for name, mount := range map[string]bool{"mounted": true, "limited": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			node, disks := startNode(t, mount)
			client := newClient(t, node)
			require.NoError(t, client.create(t.Context(), "before.git"))

			require.NoError(t, disks.fill(node))
			require.Error(t, client.create(t.Context(), "during.git"))
			require.True(t, node.Process().Running())

			require.NoError(t, disks.free(node))
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				require.NoError(c, client.create(t.Context(), "after.git"))
			}, 10*time.Second, 100*time.Millisecond)
			require.True(t, node.Process().Running())
		})
	}
}

func TestDisksAreKept(t *testing.T) {
	t.Parallel()

	dir := filepath.Join(t.TempDir(), "disk")
	disks, err := PrepareDisks([]string{dir})
	require.NoError(t, err)
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("content"), 0o600))
	require.NoError(t, disks.Keep(context.Background()))
	require.False(t, disks.Mounted())
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "content", string(content))
	require.NoError(t, disks.Close(), "closing twice is fine")
}
