package node

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/hooks/node/git"
)

// TestHead compares what files say with what Git says.
func TestHead(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		setUp string
		loose bool
	}{
		"loose":    {setUp: "update-ref refs/heads/main A", loose: true},
		"unborn":   {setUp: "update-ref refs/heads/other A", loose: true},
		"perhaps":  {setUp: "update-ref refs/heads/other A; pack-refs --all"},
		"a folder": {setUp: "update-ref refs/heads/main/sub A"},
		"packed":   {setUp: "update-ref refs/heads/main A; pack-refs --all"},
		"detached": {setUp: "update-ref --no-deref HEAD A"},
		"elsewhere": {
			setUp: "update-ref refs/heads/deep/down A; symbolic-ref HEAD refs/heads/deep/down",
			loose: true,
		},
		"chain": {
			setUp: "update-ref refs/heads/other A; symbolic-ref refs/heads/main refs/heads/other",
		},
		"hidden by a loose one": {
			setUp: "update-ref refs/heads/main A; pack-refs --all; update-ref refs/heads/main B",
			loose: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			dir := filepath.Join(t.TempDir(), "r.git")
			setUp(t, dir, c.setUp)
			files, ok := looseHead(dir)
			require.Equal(t, c.loose, ok)
			n := &Node{git: git.New(git.Config{})}
			asked, err := n.head(t.Context(), dir)
			require.NoError(t, err)
			if ok {
				require.Equal(t, files, asked)
			}
			target, err := n.optional(t.Context(), dir, "symbolic-ref", "--quiet", "HEAD")
			require.NoError(t, err)
			object, err := n.optional(t.Context(), dir, "rev-parse", "--quiet", "--verify", "HEAD")
			require.NoError(t, err)
			require.Equal(t, head{target: target, object: object}, asked)
		})
	}
}

// setUp makes a repository and runs commands of Git in it, in which A and B stand for commits.
func setUp(t *testing.T, dir, commands string) {
	t.Helper()
	run := func(args ...string) string {
		command := exec.CommandContext(t.Context(), "git",
			append([]string{"--git-dir", dir}, args...)...)
		command.Env = append(command.Environ(), "GIT_CONFIG_GLOBAL=/dev/null",
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b.c", "GIT_AUTHOR_DATE=@1 +0000",
			"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b.c", "GIT_COMMITTER_DATE=@1 +0000")
		output, err := command.Output()
		require.NoError(t, err, "%v", args)

		return strings.TrimSpace(string(output))
	}
	run("init", "--quiet", "--bare", "--initial-branch=main")
	tree := run("write-tree")
	objects := strings.NewReplacer(
		"A", run("commit-tree", "-m", "1", tree), "B", run("commit-tree", "-m", "2", tree))
	for line := range strings.SplitSeq(commands, "; ") {
		words := strings.Fields(line)
		for i, word := range words {
			if len(word) == 1 {
				words[i] = objects.Replace(word)
			}
		}
		run(words...)
	}
}
