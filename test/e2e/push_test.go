package e2e_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/proxy/gitalypb"
)

// step is one push of several changes.
type step struct {
	name string
	args []string
	// missing and present are references afterwards.
	present, missing []string
}

// pushes lists every kind of change, for a history whose first commit is given.
func pushes(first string) []step {
	return []step{
		{
			name: "several references", args: []string{"main", "feature", "topic", "v1"},
			present: []string{
				"refs/heads/main", "refs/heads/feature", "refs/heads/topic", "refs/tags/v1",
			},
		},
		{
			name: "atomically", args: []string{"--atomic", "main:atomic-1", "main:atomic-2"},
			present: []string{"refs/heads/atomic-1", "refs/heads/atomic-2"},
		},
		{
			name: "a deletion", args: []string{":feature"}, missing: []string{"refs/heads/feature"},
		},
		{
			name: "backwards by force", args: []string{"--force", first + ":topic"},
			present: []string{"refs/heads/topic"},
		},
		{
			name:    "deletion, creation and update",
			args:    []string{":atomic-1", "main:refs/heads/new", "+main:topic"},
			present: []string{"refs/heads/new", "refs/heads/topic"},
			missing: []string{"refs/heads/atomic-1"},
		},
	}
}

// TestPush pushes every kind of change with Git and looks at what became of it: on the disks of
// all nodes, in the metadata, and in a clone.
//
// Requirements: T001, T002, T010, T016, T028, T132
func TestPush(t *testing.T) {
	t.Parallel()

	r := startRig(t, withPatience)
	repo := r.createRepository(t)
	user := newCheckout(t, repo.remote())
	first := user.commit(t, "file", "one")
	user.mustGit(t, "push", "origin", "main")
	user.mustGit(t, "branch", "feature")
	user.commit(t, "file", "two")
	user.mustGit(t, "branch", "topic")
	user.mustGit(t, "tag", "-a", "v1", "-m", "version 1")

	for _, step := range pushes(first) {
		before := repo.metadata(t)
		user.mustGit(t, append([]string{"push", "origin"}, step.args...)...)

		after := repo.metadata(t)
		require.Greater(t, after.generation, before.generation, step.name)
		require.Len(t, after.current(), len(r.Nodes()), "left behind: %s", step.name)
		require.Equal(t, before.primary, after.primary, step.name)
		repo.requireConsistent(t)
		for _, name := range step.present {
			require.NotEmpty(t, reference(t, r.Nodes()[0], repo.replicaPath, name), step.name)
		}
		for _, name := range step.missing {
			require.Empty(t, reference(t, r.Nodes()[0], repo.replicaPath, name), step.name)
		}
	}

	copied := clone(t, repo.remote())
	require.Equal(t,
		user.mustGit(t, "rev-parse", "main"), copied.mustGit(t, "rev-parse", "origin/main"))
	copied.mustGit(t, "fsck", "--full")
	require.Empty(t, repo.leftBehind(t))
	repo.waitConverged(t)
}

// TestPushChangingNothing pushes what is there already: no write, no new generation.
func TestPushChangingNothing(t *testing.T) {
	t.Parallel()

	r := startRig(t, withPatience)
	repo := r.createRepository(t)
	user := newCheckout(t, repo.remote())
	user.commit(t, "file", "one")
	user.mustGit(t, "push", "origin", "main")

	before := repo.metadata(t)
	user.mustGit(t, "push", "origin", "main")
	require.Equal(t, before, repo.metadata(t))
}

// TestCustomHookRefuses lets a custom hook of the primary refuse a push: the user reads why, and
// nothing has changed anywhere.
func TestCustomHookRefuses(t *testing.T) {
	t.Parallel()

	r := startRig(t, withPatience)

	for _, hook := range []string{"pre-receive", "update"} {
		t.Run(hook, func(t *testing.T) {
			t.Parallel()

			repo := r.createRepository(t)
			user := newCheckout(t, repo.remote())
			user.commit(t, "file", "one")
			user.mustGit(t, "push", "origin", "main")

			// The same hook everywhere: only the primary runs it.
			for _, node := range r.Nodes() {
				dir := filepath.Join(node.Path(repo.replicaPath), "custom_hooks")
				require.NoError(t, os.MkdirAll(dir, 0o755))
				text := "#!/bin/sh\necho run >> " + node.Disk + "/ran-" + hook + "\n" +
					"echo not on a Friday >&2\nexit 1\n"
				require.NoError(t, os.WriteFile(filepath.Join(dir, hook), []byte(text), 0o755))
			}

			before := repo.metadata(t)
			user.commit(t, "file", "two")
			output, err := user.push(t.Context(), "main")
			require.Error(t, err)
			require.Contains(t, output, "not on a Friday")
			require.Contains(t, output, "hook declined")

			require.Equal(t, before, repo.metadata(t))
			repo.requireConsistent(t)
			for _, node := range r.Nodes() {
				ran := filepath.Join(node.Disk, "ran-"+hook)
				if node.Storage == before.primary {
					require.FileExists(t, ran)
				} else {
					require.NoFileExists(t, ran)
				}
			}
		})
	}
}

// TestRemoval removes a repository: it is gone from the metadata and from every disk, and its path
// can be used again.
func TestRemoval(t *testing.T) {
	t.Parallel()

	r := startRig(t, withPatience)
	repo := r.createRepository(t)
	user := newCheckout(t, repo.remote())
	user.commit(t, "file", "one")
	user.mustGit(t, "push", "origin", "main")

	client := gitalypb.NewRepositoryServiceClient(r.conn)
	_, err := client.RemoveRepository(t.Context(),
		&gitalypb.RemoveRepositoryRequest{Repository: repo.proto})
	require.NoError(t, err)

	for _, node := range r.Nodes() {
		require.NoDirExists(t, node.Path(repo.replicaPath))
	}
	exists, err := client.RepositoryExists(t.Context(),
		&gitalypb.RepositoryExistsRequest{Repository: repo.proto})
	require.NoError(t, err)
	require.False(t, exists.GetExists())

	_, err = client.CreateRepository(t.Context(),
		&gitalypb.CreateRepositoryRequest{Repository: repo.proto, DefaultBranch: []byte("main")})
	require.NoError(t, err)
	require.NotEqual(t, repo.replicaPath, repo.metadata(t).replicaPath)
	user.mustGit(t, "push", "origin", "main")
}
