package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// checkout is a working copy of a user, whose configuration is nothing but what is set here.
type checkout struct {
	dir    string
	remote string
}

// newCheckout makes an empty working copy on branch main whose remote is the given URL.
func newCheckout(t *testing.T, remote string) *checkout {
	t.Helper()

	c := &checkout{dir: t.TempDir(), remote: remote}
	c.mustGit(t, "init", "--quiet", "--initial-branch=main")
	c.mustGit(t, "remote", "add", "origin", remote)

	return c
}

// clone clones a remote, history and all branches included.
func clone(t *testing.T, remote string) *checkout {
	t.Helper()

	c := &checkout{dir: t.TempDir(), remote: remote}
	c.mustGit(t, "clone", "--quiet", remote, ".")

	return c
}

// command prepares a git command; Cancel of ctx kills it together with its helpers.
func (c *checkout) command(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir = c.dir
	command.Env = append(os.Environ(),
		"HOME="+c.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=User", "GIT_AUTHOR_EMAIL=user@example.org",
		"GIT_COMMITTER_NAME=User", "GIT_COMMITTER_EMAIL=user@example.org",
	)
	setGroup(command)

	return command
}

// git runs git and returns what it wrote.
func (c *checkout) git(ctx context.Context, args ...string) (string, error) {
	output, err := c.command(ctx, args...).CombinedOutput()
	if err != nil {
		return string(output), fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, output)
	}

	return strings.TrimSpace(string(output)), nil
}

func (c *checkout) mustGit(t *testing.T, args ...string) string {
	t.Helper()

	output, err := c.git(t.Context(), args...)
	require.NoError(t, err)

	return output
}

// commit writes a file, commits it on the current branch and returns the commit's id.
func (c *checkout) commit(t *testing.T, file, content string) string {
	t.Helper()

	require.NoError(t, os.WriteFile(filepath.Join(c.dir, file), []byte(content), 0o600))
	c.mustGit(t, "add", file)
	c.mustGit(t, "commit", "--quiet", "-m", "change "+file)

	return c.mustGit(t, "rev-parse", "HEAD")
}

// push pushes what the refspecs say.
func (c *checkout) push(ctx context.Context, refspecs ...string) (string, error) {
	return c.git(ctx, append([]string{"push", "--quiet", "origin"}, refspecs...)...)
}
