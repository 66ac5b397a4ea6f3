package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

const (
	// A push of 50 MiB: so many files that nodes keep the pack as it came, as they do with real
	// pushes of that size.
	files    = 200
	fileSize = 256 << 10

	piece = 128 << 10
)

// TestSecondaryFailsDuringUpload kills or freezes a secondary when half of 50 MiB are sent. The
// push neither fails nor stalls, and the secondary is repaired.
//
// Requirements: T006
func TestSecondaryFailsDuringUpload(t *testing.T) {
	t.Parallel()

	user := newCheckout(t, "")
	commit := commitRandom(t, user)
	request := pushRequest(t, user, commit)

	for name, fail := range map[string]func(*cluster.Node) error{
		"killed": (*cluster.Node).Kill,
		"frozen": func(node *cluster.Node) error { return node.Process().Pause() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := startRig(t)
			repo := r.createRepository(t)
			repo.waitCurrent(t)
			node := repo.secondary(t)
			ctx, cancel := context.WithTimeout(t.Context(), waitLong)
			defer cancel()
			push := repo.beginPush(ctx, t)
			push.send(t, request[:len(request)/2])
			require.NoError(t, fail(node))

			begin := time.Now()
			push.send(t, request[len(request)/2:])
			require.Contains(t, push.finish(t), "ok refs/heads/main")
			require.Less(t, time.Since(begin), promised, "the push stalled")

			require.NotContains(t, repo.metadata(t).current(), node.Storage)
			repo.requireConsistent(t)
			heal(t, node)
			repo.waitConverged(t)
			require.Equal(t, commit, reference(t, node, repo.replicaPath, "refs/heads/main"))
		})
	}
}

// commitRandom commits files that cannot be compressed, and does not try to.
func commitRandom(t *testing.T, user *checkout) string {
	t.Helper()

	content := make([]byte, fileSize)
	for i := range files {
		_, err := rand.Read(content)
		require.NoError(t, err)
		file := filepath.Join(user.dir, strconv.Itoa(i))
		require.NoError(t, os.WriteFile(file, content, 0o600))
	}
	user.mustGit(t, "config", "core.compression", "0")
	user.mustGit(t, "add", ".")
	user.mustGit(t, "commit", "--quiet", "-m", "many files")

	return user.mustGit(t, "rev-parse", "HEAD")
}

// TestAbortedUploads breaks off 200 uploads in the middle. Nothing of them may stay in the proxy.
func TestAbortedUploads(t *testing.T) {
	t.Parallel()

	const (
		aborted = 200
		growth  = 20
	)

	r := startRig(t, withPatience)
	repo := r.createRepository(t)
	user := newCheckout(t, repo.remote())
	commit := user.commit(t, "file", strings.Repeat("some content\n", piece))
	request := pushRequest(t, user, commit)

	abort := func() {
		ctx, cancel := context.WithCancel(t.Context())
		push := repo.beginPush(ctx, t)
		push.send(t, request[:len(request)/2])
		cancel()
		_, err := push.stream.Recv()
		require.Error(t, err)
	}

	abort() // What one call leaves in caches and connections is there from now on.
	var before float64
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		again := r.goroutines(c)
		stable := again == before
		before = again
		assert.True(c, stable)
	}, waitLong, time.Second)

	for range aborted {
		abort()
	}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Less(c, r.goroutines(c), before+growth)
	}, waitLong, tick)

	user.mustGit(t, "push", "origin", "main")
	require.Len(t, repo.metadata(t).current(), len(r.Nodes()))
	repo.waitConverged(t)
}

// goroutines reads how many goroutines the proxy has.
func (r *rig) goroutines(t require.TestingT) float64 {
	return r.metric(t, "go_goroutines")
}

// metric reads a metric of the proxy, the sum if it has labels; 0 when there is none.
func (r *rig) metric(t require.TestingT, name string) float64 {
	request, err := http.NewRequestWithContext(
		context.WithoutCancel(r.context), http.MethodGet, r.Proxy().Metrics, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close() //nolint:errcheck // It was read.

	var sum float64
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || (rest[0] != ' ' && rest[0] != '{') {
			continue
		}
		value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		require.NoError(t, err)
		sum += value
	}
	require.NoError(t, lines.Err())

	return sum
}

// upload is a push by hand, so that it can be stopped in the middle.
type upload struct {
	stream gitalypb.SmartHTTPService_PostReceivePackClient
}

func (r *repository) beginPush(ctx context.Context, t *testing.T) *upload {
	t.Helper()

	stream, err := gitalypb.NewSmartHTTPServiceClient(r.rig.conn).PostReceivePack(ctx)
	require.NoError(t, err)
	require.NoError(t, stream.Send(&gitalypb.PostReceivePackRequest{
		Repository: r.proto, GlId: "user-1", GlRepository: "project-1",
	}))

	return &upload{stream: stream}
}

func (u *upload) send(t *testing.T, content []byte) {
	t.Helper()

	for len(content) > 0 {
		n := min(piece, len(content))
		require.NoError(t,
			u.stream.Send(&gitalypb.PostReceivePackRequest{Data: content[:n]}))
		content = content[n:]
	}
}

// finish ends the push and returns what git-receive-pack answered.
func (u *upload) finish(t *testing.T) string {
	t.Helper()

	require.NoError(t, u.stream.CloseSend())
	var answer bytes.Buffer
	for {
		message, err := u.stream.Recv()
		if errors.Is(err, io.EOF) {
			return answer.String()
		}
		require.NoError(t, err)
		answer.Write(message.GetData())
	}
}

// pushRequest is what Git would send to create the branch main at a commit.
func pushRequest(t *testing.T, user *checkout, commit string) []byte {
	t.Helper()

	line := fmt.Sprintf("%s %s refs/heads/main\x00report-status", strings.Repeat("0", 40), commit)
	request := fmt.Appendf(nil, "%04x%s0000", len(line)+4, line)

	list := filepath.Join(t.TempDir(), "objects")
	require.NoError(t, os.WriteFile(list, []byte(commit+"\n"), 0o600))
	input, err := os.Open(list)
	require.NoError(t, err)
	defer input.Close() //nolint:errcheck // It was only read.

	command := user.command(t.Context(), "pack-objects", "--revs", "--stdout", "-q")
	command.Stdin = input
	pack, err := command.Output()
	require.NoError(t, err)

	return append(request, pack...)
}
