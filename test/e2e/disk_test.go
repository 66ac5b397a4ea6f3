package e2e_test

import (
	"context"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/test/cluster"
)

// readReferences reads all references of a replica and where its HEAD points, straight from the
// disk.
func readReferences(
	ctx context.Context, node *cluster.Node, replicaPath string,
) (string, error) {
	head, err := onDisk(ctx, node, replicaPath, "symbolic-ref", "HEAD")
	if err != nil {
		return "", err
	}
	refs, err := onDisk(ctx, node, replicaPath,
		"for-each-ref", "--format=%(refname) %(objectname) %(symref)")

	return "HEAD " + head + "\n" + refs, err
}

// reference reads one reference of a replica; empty when it does not exist.
func reference(t *testing.T, node *cluster.Node, replicaPath, name string) string {
	t.Helper()

	text, err := onDisk(t.Context(), node, replicaPath,
		"for-each-ref", "--format=%(objectname)", name)
	require.NoError(t, err)

	return text
}

// checkObjects lets git check the replica.
func checkObjects(t *testing.T, node *cluster.Node, replicaPath string) {
	t.Helper()

	_, err := onDisk(t.Context(), node, replicaPath, "fsck", "--full", "--no-progress")
	require.NoError(t, err)
}

// onDisk runs git on a replica, past the node.
func onDisk(
	ctx context.Context, node *cluster.Node, replicaPath string, args ...string,
) (string, error) {
	command := exec.CommandContext(ctx, "git",
		append([]string{"--git-dir", node.Path(replicaPath)}, args...)...)
	command.Env = append(command.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME=/nonexistent")
	output, err := command.CombinedOutput()
	text := strings.TrimSpace(string(output))
	if err != nil {
		return text, fmt.Errorf("%s: git %v: %w: %s", node.Storage, args, err, text)
	}

	return text, nil
}

// locks lists the lock files anywhere on a node's disk.
func locks(t *testing.T, node *cluster.Node) []string {
	t.Helper()

	var found []string
	err := filepath.WalkDir(node.Disk, func(path string, _ fs.DirEntry, err error) error {
		// Files come and go while a node works; only what can be seen counts.
		if err == nil && strings.HasSuffix(path, ".lock") {
			found = append(found, path)
		}

		return nil
	})
	require.NoError(t, err)

	return found
}
