package git_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"praefect/hooks/node/git"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const zero = "0000000000000000000000000000000000000000"

func setup(t *testing.T) (*git.Git, string) {
	t.Helper()

	g := git.New(git.Config{NoSync: true})
	dir := filepath.Join(t.TempDir(), "repo.git")
	require.NoError(t, g.Run(t.Context(), git.Command{
		Args: []string{"init", "--quiet", "--bare", "--template=", dir},
	}))

	return g, dir
}

// commit writes a commit without parents.
func commit(t *testing.T, g *git.Git, dir, message string) string {
	t.Helper()

	tree, err := g.Output(t.Context(), git.Command{
		Repository: dir, Args: []string{"hash-object", "-w", "-t", "tree", "--stdin"},
	})
	require.NoError(t, err)
	output, err := g.Output(t.Context(), git.Command{
		Repository: dir,
		Args:       []string{"commit-tree", "-m", message, strings.TrimSpace(string(tree))},
		Env: []string{
			"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@b", "GIT_AUTHOR_DATE=1700000000 +0000",
			"GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@b",
			"GIT_COMMITTER_DATE=1700000000 +0000",
		},
	})
	require.NoError(t, err)

	return strings.TrimSpace(string(output))
}

func references(t *testing.T, g *git.Git, dir string) string {
	t.Helper()

	output, err := g.Output(t.Context(), git.Command{
		Repository: dir, Args: []string{"for-each-ref", "--format=%(refname) %(objectname)"},
	})
	require.NoError(t, err)

	return string(output)
}

func TestVersion(t *testing.T) {
	t.Parallel()

	version, err := git.New(git.Config{}).Version(t.Context())
	require.NoError(t, err)
	require.Regexp(t, `^\d+\.\d+`, version)

	_, err = git.New(git.Config{Binary: "/nonexistent/git"}).Version(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestSettingsOfTheNodeWin(t *testing.T) {
	t.Parallel()

	g, dir := setup(t)
	for key, want := range map[string]string{
		"core.fsync": "none", "core.hooksPath": "/the/hooks", "gc.auto": "0",
	} {
		output, err := g.Output(t.Context(), git.Command{
			Repository: dir, Hooks: "/the/hooks",
			Config: []string{key + "=client", "client.key=value"},
			Args:   []string{"config", "--get", key},
		})
		require.NoError(t, err)
		require.Equal(t, want+"\n", string(output))
	}

	output, err := git.New(git.Config{}).Output(t.Context(), git.Command{
		Args: []string{"config", "--get", "core.fsync"},
	})
	require.NoError(t, err)
	require.Equal(t, "objects,derived-metadata,reference\n", string(output))
}

func TestErrorTellsWhatGitWrote(t *testing.T) {
	t.Parallel()

	g, _ := setup(t)
	err := g.Run(t.Context(), git.Command{Args: []string{"rev-parse", "--git-dir"}})
	var failed *git.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, 128, failed.Code)
	require.Equal(t, "rev-parse", failed.Command)
	require.Contains(t, failed.Stderr, "not a git repository")
}

func TestReadingCommandEndsWithItsContext(t *testing.T) {
	t.Parallel()

	g, dir := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	stdin, write := io.Pipe()
	started, output := io.Pipe()
	context.AfterFunc(ctx, func() { _ = stdin.Close() })

	ended := make(chan error, 1)
	go func() {
		ended <- g.Run(ctx, git.Command{
			Repository: dir, Args: []string{"cat-file", "--batch-check", "--buffer"},
			Stdin: stdin, Stdout: output,
		})
		_ = output.Close()
	}()
	_, err := write.Write([]byte("HEAD\n"))
	require.NoError(t, err)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	_, err = io.Copy(io.Discard, started)
	require.NoError(t, err)
}

func TestUpdaterCommits(t *testing.T) {
	t.Parallel()

	g, dir := setup(t)
	first, second := commit(t, g, dir, "one"), commit(t, g, dir, "two")

	u, err := g.NewUpdater(t.Context(), dir)
	require.NoError(t, err)
	require.NoError(t, u.Prepare([]git.Update{
		{Reference: "refs/heads/a", Old: zero, New: first},
		{Reference: "refs/heads/b", New: second},
	}))
	require.FileExists(t, filepath.Join(dir, "refs/heads/a.lock"))
	require.Empty(t, references(t, g, dir))
	require.NoError(t, u.Commit())
	require.Equal(t, "refs/heads/a "+first+"\nrefs/heads/b "+second+"\n", references(t, g, dir))
	require.NoError(t, u.Abort(), "after the end it does nothing")
	require.ErrorIs(t, u.Commit(), git.ErrEnded)
}

func TestUpdaterAborts(t *testing.T) {
	t.Parallel()

	g, dir := setup(t)
	u, err := g.NewUpdater(t.Context(), dir)
	require.NoError(t, err)
	require.NoError(t, u.Prepare([]git.Update{
		{Reference: "refs/heads/a", New: commit(t, g, dir, "one")},
	}))
	require.NoError(t, u.Abort())
	require.Empty(t, references(t, g, dir))
	require.NoFileExists(t, filepath.Join(dir, "refs/heads/a.lock"))

	unused, err := g.NewUpdater(t.Context(), dir)
	require.NoError(t, err)
	require.NoError(t, unused.Abort())
}

func TestUpdaterSaysWhy(t *testing.T) {
	t.Parallel()

	g, dir := setup(t)
	first, second := commit(t, g, dir, "one"), commit(t, g, dir, "two")
	require.NoError(t, g.Run(t.Context(), git.Command{
		Repository: dir, Args: []string{"update-ref", "refs/heads/a", first},
	}))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "refs/heads/held.lock"), nil, 0o600))

	for name, tc := range map[string]struct {
		update git.Update
		why    func(error) bool
	}{
		"locked":    {git.Update{Reference: "refs/heads/held", New: first}, git.Locked},
		"moved":     {git.Update{Reference: "refs/heads/a", Old: second, New: second}, git.Moved},
		"exists":    {git.Update{Reference: "refs/heads/a", Old: zero, New: second}, git.Moved},
		"missing":   {git.Update{Reference: "refs/heads/x", Old: second, New: first}, git.Moved},
		"malformed": {git.Update{Reference: "refs/heads/a..b", New: first}, git.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			u, err := g.NewUpdater(t.Context(), dir)
			require.NoError(t, err)
			err = u.Prepare([]git.Update{tc.update})
			for other, why := range map[string]func(error) bool{
				"locked": git.Locked, "moved": git.Moved, "malformed": git.Malformed,
			} {
				want := name
				if name == "exists" || name == "missing" {
					want = "moved"
				}
				require.Equal(t, other == want, why(err), "%s: %v", other, err)
			}
			require.NoError(t, u.Abort())
		})
	}
}

func TestRefusedByHook(t *testing.T) {
	t.Parallel()

	g, dir := setup(t)
	hooks := t.TempDir()
	require.NoError(t, os.WriteFile(
		filepath.Join(hooks, "reference-transaction"), []byte("#!/bin/sh\nexit 1\n"), 0o755))

	err := g.Run(t.Context(), git.Command{
		Repository: dir, Hooks: hooks, Args: []string{"update-ref", "--stdin", "-z"},
		Stdin: git.UpdateInput([]git.Update{
			{Reference: "refs/heads/a", New: commit(t, g, dir, "one")},
		}),
	})
	var failed *git.Error
	require.ErrorAs(t, err, &failed)
	require.Regexp(t, `aborted by (the reference-transaction )?hook`, failed.Stderr)
	require.Empty(t, references(t, g, dir))
}
