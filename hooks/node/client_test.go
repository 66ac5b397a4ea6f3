package node_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/proxy/gitalypb"
)

const zero = "0000000000000000000000000000000000000000"

// runGit runs Git as a user would and returns what it writes.
func runGit(t *testing.T, dir string, args ...string) string {
	t.Helper()

	return runGitWith(t, dir, nil, args...)
}

func runGitWith(t *testing.T, dir string, stdin io.Reader, args ...string) string {
	t.Helper()

	var output, stderr bytes.Buffer
	command := gitCommand(t.Context(), dir, args...)
	command.Stdin, command.Stdout, command.Stderr = stdin, &output, &stderr
	require.NoError(t, command.Run(), "git %v: %s", args, stderr.String())

	return strings.TrimSpace(output.String())
}

func gitCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir = dir
	command.Env = append(os.Environ(),
		"GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@b", "GIT_AUTHOR_DATE=1700000000 +0000",
		"GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@b",
		"GIT_COMMITTER_DATE=1700000000 +0000")

	return command
}

// newClone makes a repository of a user with one commit on main, and returns both.
func newClone(t *testing.T) (dir, first string) {
	t.Helper()

	dir = filepath.Join(t.TempDir(), "clone")
	runGit(t, "/", "init", "--quiet", "--initial-branch=main", dir)

	return dir, newCommit(t, dir, "first")
}

// newCommit commits a file with some text.
func newCommit(t *testing.T, dir, text string) string {
	t.Helper()

	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte(text), 0o600))
	runGit(t, dir, "add", "file")
	runGit(t, dir, "commit", "--quiet", "-m", text)

	return runGit(t, dir, "rev-parse", "HEAD")
}

// command is one reference of a push.
type command struct {
	from, to, reference string
}

func (c command) line() string { return c.from + " " + c.to + " " + c.reference + "\n" }

// pushBody is what a client sends in a push with everything that a clone has.
func pushBody(t *testing.T, clone, capabilities string, commands ...command) []byte {
	t.Helper()

	var body bytes.Buffer
	needsPack := false
	for i, c := range commands {
		line := c.from + " " + c.to + " " + c.reference
		if i == 0 {
			line += "\x00 report-status agent=test " + capabilities
		}
		fmt.Fprintf(&body, "%04x%s", len(line)+4, line)
		needsPack = needsPack || c.to != zero
	}
	body.WriteString("0000")
	if needsPack {
		var pack bytes.Buffer
		pacify := gitCommand(t.Context(), clone, "pack-objects", "--all", "--stdout", "-q")
		pacify.Stdin, pacify.Stdout = strings.NewReader(""), &pack
		require.NoError(t, pacify.Run())
		body.Write(pack.Bytes())
	}

	return body.Bytes()
}

// post pushes over PostReceivePack and returns what the server reports.
func (r *rig) post(
	ctx context.Context, repo *gitalypb.Repository, body []byte,
) (string, error) {
	stream, err := gitalypb.NewSmartHTTPServiceClient(r.conn).PostReceivePack(ctx)
	if err != nil {
		return "", err
	}
	err = stream.Send(&gitalypb.PostReceivePackRequest{
		Repository: repo, GlId: "user-1", GlUsername: "u", GlRepository: "project-1",
	})
	for err == nil && len(body) > 0 {
		part := body[:min(len(body), 128<<10)]
		body = body[len(part):]
		err = stream.Send(&gitalypb.PostReceivePackRequest{Data: part})
	}
	if err != nil && err != io.EOF { //nolint:errorlint // Send returns it as it is.
		return "", err
	}
	if err := stream.CloseSend(); err != nil {
		return "", err
	}

	var output strings.Builder
	for {
		response, err := stream.Recv()
		if err == io.EOF { //nolint:errorlint // as above
			return output.String(), nil
		}
		if err != nil {
			return output.String(), err
		}
		output.Write(response.GetData())
	}
}

// references lists all references of a repository on the node's disk, HEAD's target first.
func (r *rig) references(t *testing.T, repo *gitalypb.Repository) string {
	t.Helper()

	return references(t, r.path(repo))
}

func references(t *testing.T, dir string) string {
	t.Helper()

	return "HEAD " + runGit(t, dir, "symbolic-ref", "HEAD") + "\n" +
		runGit(t, dir, "for-each-ref", "--format=%(refname) %(objectname)")
}
