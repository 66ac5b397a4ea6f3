package githttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/proxy/gitalypb"
	"praefect/proxy/githttp"
	"praefect/proxy/sidechannel"
)

// node serves the repositories below a directory with the git of this machine, without votes and
// hooks: just enough for the real client to talk to.
type node struct {
	root string
	// refuse ends pushes when their answer is complete, as a lost final vote does.
	refuse error
}

func (n *node) service() *service {
	return &service{refs: n.refs, fetch: n.fetch, push: n.push}
}

// command runs a service of git on a repository.
func (n *node) command(
	ctx context.Context, protocol string, repository *gitalypb.Repository, args ...string,
) (*exec.Cmd, error) {
	path := filepath.Join(n.root, repository.GetRelativePath())
	if _, err := os.Stat(path); err != nil {
		return nil, status.Error(codes.NotFound, "repository not found")
	}
	command := exec.CommandContext(ctx, "git", append(args, path)...)
	command.Env = append(environment(), "GIT_PROTOCOL="+protocol)
	return command, nil
}

func (n *node) refs(r *gitalypb.InfoRefsRequest, service string, out io.Writer) error {
	command, err := n.command(context.Background(), r.GetGitProtocol(), r.GetRepository(),
		service, "--stateless-rpc", "--advertise-refs")
	if err != nil {
		return err
	}
	head := "# service=git-" + service + "\n"
	if _, err := fmt.Fprintf(out, "%04x%s0000", len(head)+4, head); err != nil {
		return err
	}
	command.Stdout = out
	return command.Run()
}

func (n *node) fetch(
	ctx context.Context, r *gitalypb.PostUploadPackWithSidechannelRequest,
) error {
	command, err := n.command(ctx, r.GetGitProtocol(), r.GetRepository(),
		"upload-pack", "--stateless-rpc")
	if err != nil {
		return err
	}
	channel, err := sidechannel.Open(ctx)
	if err != nil {
		return err
	}
	command.Stdin, command.Stdout = channel, channel
	err = command.Run()
	return errors.Join(err, channel.Close())
}

func (n *node) push(stream pushStream) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if first.GetGlId() == "" || first.GetData() != nil {
		return status.Error(codes.InvalidArgument, "malformed first message")
	}
	command, err := n.command(stream.Context(), first.GetGitProtocol(), first.GetRepository(),
		"receive-pack", "--stateless-rpc")
	if err != nil {
		return err
	}
	command.Stdin, command.Stdout = &pushReader{stream: stream}, pushWriter{stream}
	return errors.Join(command.Run(), n.refuse)
}

// pushReader reads the data of messages.
type pushReader struct {
	stream pushStream
	rest   []byte
}

func (r *pushReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		request, err := r.stream.Recv()
		if err != nil {
			return 0, err
		}
		r.rest = request.GetData()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// pushWriter sends data as messages.
type pushWriter struct{ stream pushStream }

func (w pushWriter) Write(p []byte) (int, error) {
	return len(p), w.stream.Send(
		&gitalypb.PostReceivePackResponse{Data: append([]byte(nil), p...)},
	)
}

// environment keeps the configuration of this machine and user away from git.
func environment() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com",
		"GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com",
	}
}

// git runs the client and returns what it prints.
func git(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "git", args...)
	command.Dir = dir
	command.Env = environment()
	output, err := command.CombinedOutput()
	return strings.TrimSpace(string(output)), err
}

func mustGit(t *testing.T, dir string, args ...string) string {
	t.Helper()
	output, err := git(t, dir, args...)
	require.NoError(t, err, "git %v: %s", args, output)
	return output
}

// clone starts a gateway in front of an empty repository and returns a clone of it.
func clone(t *testing.T, n *node, config githttp.Config) (g *gateway, work string) {
	t.Helper()
	n.root, work = t.TempDir(), filepath.Join(t.TempDir(), "work")
	mustGit(t, n.root, "init", "-q", "--bare", "-b", "main", "group/project.git")
	g = start(t, n.service(), config)
	mustGit(t, n.root, "clone", "-q", g.remote(""), work)
	return g, work
}

// remote returns the URL of the repository, with a password in it.
func (g *gateway) remote(password string) string {
	return strings.Replace(g.url, "://", "://user:"+password+"@", 1) + "/group/project.git"
}

// commit adds a commit with a file of random bytes, and returns its name.
func commit(t *testing.T, work string, size int64) string {
	t.Helper()
	source, err := os.Open("/dev/urandom")
	require.NoError(t, err)
	defer func() { require.NoError(t, source.Close()) }()
	file, err := os.Create(filepath.Join(work, "file"))
	require.NoError(t, err)
	_, err = io.CopyN(file, source, size)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	mustGit(t, work, "add", "file")
	mustGit(t, work, "commit", "-q", "-m", "change")
	return mustGit(t, work, "rev-parse", "HEAD")
}

// The real client pushes and fetches, in both versions of the protocol, with requests of a known
// size and in chunks.
func TestGit(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"0", "2"} {
		t.Run("version="+version, func(t *testing.T) {
			t.Parallel()
			n := &node{}
			g, work := clone(t, n, githttp.Config{})
			mustGit(t, work, "config", "protocol.version", version)
			mustGit(t, work, "config", "http.postBuffer", "65536")
			other := filepath.Join(t.TempDir(), "other")
			mustGit(t, work, "clone", "-q", g.remote(""), other)
			mustGit(t, other, "config", "protocol.version", version)
			for _, size := range []int64{10, 5 << 20, 10} {
				head := commit(t, work, size)
				mustGit(t, work, "push", "-q", "origin", "main")
				mustGit(t, other, "pull", "-q", "origin", "main")
				require.Equal(t, head, mustGit(t, other, "rev-parse", "HEAD"))
				bare := filepath.Join(n.root, "group", "project.git")
				require.Equal(t, head, mustGit(t, bare, "rev-parse", "refs/heads/main"))
			}
			mustGit(t, other, "fsck", "--strict")
			mustGit(t, work, "push", "-q", "origin", "main:topic", "main:refs/tags/v1")
			mustGit(t, work, "push", "-q", "origin", ":topic")
			refs := mustGit(t, work, "ls-remote", "origin")
			require.Contains(t, refs, "refs/tags/v1")
			require.NotContains(t, refs, "topic")
		})
	}
}

// A long negotiation is compressed by the client.
func TestGitNegotiation(t *testing.T) {
	t.Parallel()
	g, work := clone(t, &node{}, githttp.Config{})
	for range 30 {
		mustGit(t, work, "commit", "-q", "--allow-empty", "-m", "change")
	}
	mustGit(t, work, "push", "-q", "origin", "main")
	other := filepath.Join(t.TempDir(), "other")
	mustGit(t, work, "clone", "-q", g.remote(""), other)
	for range 30 {
		mustGit(t, other, "commit", "-q", "--allow-empty", "-m", "elsewhere")
		mustGit(t, work, "commit", "-q", "--allow-empty", "-m", "change")
	}
	mustGit(t, work, "push", "-q", "origin", "main")
	mustGit(t, other, "fetch", "-q", "origin")
	require.Equal(t, mustGit(t, work, "rev-parse", "main"),
		mustGit(t, other, "rev-parse", "origin/main"))
}

// The user of the client sees why something failed, and a failed push never looks successful.
func TestGitFailures(t *testing.T) {
	t.Parallel()
	n := &node{}
	g, work := clone(t, n, githttp.Config{})
	commit(t, work, 10)

	unknown := strings.Replace(g.remote(""), "project", "nothing", 1)
	output, err := git(t, work, "push", unknown, "main")
	require.Error(t, err)
	require.Contains(t, output, "repository not found")

	n.refuse = status.Error(codes.Aborted, "final vote lost")
	output, err = git(t, work, "push", "origin", "main")
	require.Error(t, err, output)
	n.refuse = nil
	mustGit(t, work, "push", "origin", "main:again")
}

func TestGitPassword(t *testing.T) {
	t.Parallel()
	n := &node{root: t.TempDir()}
	mustGit(t, n.root, "init", "-q", "--bare", "group/project.git")
	g := start(t, n.service(), githttp.Config{Password: "secret"})
	mustGit(t, n.root, "ls-remote", g.remote("secret"))
	output, err := git(t, n.root, "ls-remote", g.remote("wrong"))
	require.Error(t, err)
	require.Contains(t, output, "Authentication failed")
}
