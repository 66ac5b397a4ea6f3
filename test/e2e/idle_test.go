package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

// flush is the packet that ends a list of commands; alone it is a list without any.
const flush = "0000"

// ssh pushes over SSH as git does: it reads what there is, then sends its commands and no pack. It
// returns what the node wrote after the advertisement.
func (r *repository) ssh(ctx context.Context, t *testing.T, commands string) string {
	t.Helper()

	stream, err := gitalypb.NewSSHServiceClient(r.rig.conn).SSHReceivePack(ctx)
	require.NoError(t, err)
	require.NoError(t, stream.Send(&gitalypb.SSHReceivePackRequest{
		Repository: r.proto, GlId: "user-1",
	}))
	var output strings.Builder
	for !strings.HasSuffix(output.String(), flush) {
		response, err := stream.Recv()
		require.NoError(t, err)
		output.Write(response.GetStdout())
	}
	output.Reset()
	require.NoError(t, stream.Send(&gitalypb.SSHReceivePackRequest{Stdin: []byte(commands)}))
	require.NoError(t, stream.CloseSend())
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return output.String()
		}
		require.NoError(t, err)
		output.Write(response.GetStdout())
		require.Zero(t, response.GetExitStatus().GetValue(), string(response.GetStderr()))
	}
}

// deletion is a list with one command: to delete a branch whatever it is. Git lets a client leave
// the old value out, and does not ask the hook about such a deletion, so that no node votes on it.
func deletion(branch string) string {
	zero := strings.Repeat("0", 40)
	command := fmt.Sprintf("%s %s refs/heads/%s\x00 report-status", zero, zero, branch)

	return fmt.Sprintf("%04x%s%s", len(command)+4, command, flush)
}

// TestIdlePush pushes nothing over SSH while a secondary fails. Nothing was changed, so that
// nothing is recorded and the secondary stays current; a forced deletion in its place, on which
// nobody votes either, is recorded and leaves it behind.
func TestIdlePush(t *testing.T) {
	t.Parallel()

	for name, fail := range map[string]func(*cluster.Node) error{
		"all well": func(*cluster.Node) error { return nil },
		"killed":   (*cluster.Node).Kill,
		"frozen":   func(node *cluster.Node) error { return node.Process().Pause() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := startRig(t, withPatience)
			repo := r.createRepository(t)
			user := newCheckout(t, repo.remote())
			user.commit(t, "file", "one")
			user.mustGit(t, "push", "origin", "main", "main:feature")
			repo.waitCurrent(t)
			ctx, cancel := context.WithTimeout(t.Context(), waitLong)
			defer cancel()

			before := repo.metadata(t)
			node := repo.secondary(t)
			require.NoError(t, fail(node))
			require.Empty(t, repo.ssh(ctx, t, flush))
			require.Equal(t, before, repo.metadata(t))
			require.Empty(t, repo.leftBehind(t))

			failed := name != "all well"
			require.Contains(t, repo.ssh(ctx, t, deletion("feature")), "ok refs/heads/feature")
			after := repo.metadata(t)
			require.Equal(t, before.generation+1, after.generation)
			require.Equal(t, failed, len(after.current()) < len(r.Nodes()))
			if failed {
				require.NotContains(t, after.current(), node.Storage)
				heal(t, node)
			}
			repo.waitConverged(t)
			require.Empty(t, reference(t, node, repo.replicaPath, "refs/heads/feature"))
		})
	}
}

// TestProbeBeforeLargePush pushes more than git sends at once. It asks with a push of nothing first
// whether it is let in; only the real one counts.
func TestProbeBeforeLargePush(t *testing.T) {
	t.Parallel()

	r := startRig(t, withPatience)
	repo := r.createRepository(t)
	user := newCheckout(t, repo.remote())
	user.mustGit(t, "config", "http.postBuffer", "65536")
	noise := make([]byte, 1<<20)
	source := rand.NewChaCha8([32]byte{})
	_, _ = source.Read(noise) // never fails
	user.commit(t, "file", string(noise))

	before := repo.metadata(t)
	output := user.mustGit(t, "-c", "core.compression=0", "push", "origin", "main")
	after := repo.metadata(t)
	require.Equal(t, before.generation+1, after.generation, output)
	require.Len(t, after.current(), len(r.Nodes()))
	repo.waitConverged(t)
}
