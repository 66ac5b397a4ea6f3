package audit

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"praefect/test/cluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const replicaPath = "@cluster/repositories/ab/cd/1"

// disks makes nodes, without processes, with a replica of the same repository each.
func disks(t *testing.T) (*Auditor, Repository) {
	t.Helper()

	a := &Auditor{Waiting: func([]string) {}}
	r := Repository{
		Path: "a.git", Replica: replicaPath, State: Ready, Generation: 1,
		Replicas: map[string]int64{},
	}
	for _, storage := range []string{"gitaly-1", "gitaly-2"} {
		node := &cluster.Node{Storage: storage, Disk: t.TempDir()}
		a.Nodes = append(a.Nodes, node)
		r.Replicas[storage] = 1
		dir := node.Path(replicaPath)
		run(t, "", "init", "--quiet", "--bare", "--initial-branch=main", dir)
		tree := run(t, dir, "hash-object", "-t", "tree", "-w", "--stdin")
		commit := run(t, dir, "commit-tree", "-m", "one", tree)
		run(t, dir, "update-ref", "refs/heads/main", commit)
		write(t, filepath.Join(dir, "custom_hooks", "note"), "note")
		write(t, filepath.Join(node.Disk, "+node", "tmp", "x", "HEAD.lock"), "")
	}

	return a, r
}

func run(t *testing.T, dir string, args ...string) string {
	t.Helper()

	command := exec.CommandContext(t.Context(), "git", args...)
	command.Env = append(os.Environ(), "GIT_DIR="+dir, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_AUTHOR_DATE=1700000000 +0000",
		"GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.org",
		"GIT_COMMITTER_DATE=1700000000 +0000")
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s", output)

	return strings.TrimSpace(string(output))
}

func write(t *testing.T, path, content string) {
	t.Helper()

	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}

// look says what is wrong.
func look(t *testing.T, a *Auditor, repositories ...Repository) []string {
	t.Helper()

	wrong, err := a.remains(Snapshot{Repositories: repositories})
	require.NoError(t, err)
	found, err := a.compare(t.Context(), repositories, fsck)
	require.NoError(t, err)
	for _, compared := range found {
		wrong = append(wrong, compared.wrong...)
	}

	return wrong
}

func TestEqualReplicas(t *testing.T) {
	t.Parallel()

	a, r := disks(t)
	require.Empty(t, look(t, a, r))
	replicas := a.compareReplicas(t.Context(), r, fsck).replicas
	require.Len(t, replicas, 2)
	require.Equal(t, "refs/heads/main", replicas["gitaly-1"].Head)
	require.Equal(t, map[string]string{"note": "-rw-r--r-- note"}, replicas["gitaly-2"].Hooks)
	require.Len(t, replicas["gitaly-1"].References["refs/heads/main"], 40)
}

// TestDifferences breaks the second replica in every way that must be found.
func TestDifferences(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		damage func(t *testing.T, dir string)
		want   string
	}{
		"reference": {func(t *testing.T, dir string) {
			t.Helper()
			run(t, dir, "update-ref", "refs/heads/other", "refs/heads/main")
		}, "refs/heads/other"},
		"missing reference": {func(t *testing.T, dir string) {
			t.Helper()
			run(t, dir, "update-ref", "-d", "refs/heads/main")
		}, "refs/heads/main"},
		"head": {func(t *testing.T, dir string) {
			t.Helper()
			run(t, dir, "symbolic-ref", "HEAD", "refs/heads/x")
		}, "HEAD refs/heads/main and refs/heads/x"},
		"hook": {func(t *testing.T, dir string) {
			t.Helper()
			write(t, filepath.Join(dir, "custom_hooks", "note"), "other")
		}, "hook note"},
		"mode of hook": {func(t *testing.T, dir string) {
			t.Helper()
			require.NoError(t, os.Chmod(filepath.Join(dir, "custom_hooks", "note"), 0o755))
		}, "hook note"},
		"object": {func(t *testing.T, dir string) {
			t.Helper()
			tree := run(t, dir, "rev-parse", "main^{tree}")
			require.NoError(t, os.Remove(filepath.Join(dir, "objects", tree[:2], tree[2:])))
			write(t, filepath.Join(dir, "objects", tree[:2], tree[2:]), "broken")
		}, "git fsck"},
		"lock": {func(t *testing.T, dir string) {
			t.Helper()
			write(t, filepath.Join(dir, "..", "x.lock"), "")
		}, "x.lock"},
		"orphan": {func(t *testing.T, dir string) {
			t.Helper()
			run(t, "", "init", "--quiet", "--bare", dir+"0")
		}, "is not recorded"},
		"remains": {func(t *testing.T, dir string) {
			t.Helper()
			write(t, filepath.Join(dir+"0", "HEAD"), "")
		}, "is not recorded"},
		"no replica": {func(t *testing.T, dir string) {
			t.Helper()
			require.NoError(t, os.RemoveAll(dir))
		}, ") on gitaly-2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			a, r := disks(t)
			tc.damage(t, a.Nodes[1].Path(replicaPath))
			wrong := look(t, a, r)
			require.NotEmpty(t, wrong)
			require.Contains(t, strings.Join(wrong, "\n"), tc.want)
		})
	}
}

// TestOutdatedReplicasMayDiffer, as long as they are recorded as such.
func TestOutdatedReplicasMayDiffer(t *testing.T) {
	t.Parallel()

	a, r := disks(t)
	run(t, a.Nodes[1].Path(replicaPath), "update-ref", "-d", "refs/heads/main")
	r.Replicas["gitaly-2"] = 0
	require.Empty(t, look(t, a, r))
}

// TestWhatMovedIsNotJudged, and nobody may take it for equal.
func TestWhatMovedIsNotJudged(t *testing.T) {
	t.Parallel()

	still := Repository{
		Path: "a", Replica: "1", State: Ready, Generation: 1, Replicas: map[string]int64{"x": 1},
	}
	moving := Repository{
		Path: "b", Replica: "2", State: Ready, Generation: 1, Replicas: map[string]int64{"x": 1},
	}
	moved := moving
	moved.Generation = 2
	leaving := Repository{Path: "c", Replica: "3", State: "deleting"}
	found := map[string]comparison{
		still.Replica: {wrong: []string{"still"}}, moving.Replica: {wrong: []string{"moving"}},
	}

	before := Snapshot{Repositories: []Repository{still, moving, leaving}}
	wrong, whole := stood(before, before, found)
	require.Equal(t, []string{"still", "moving"}, wrong)
	require.True(t, whole)

	wrong, whole = stood(before, Snapshot{Repositories: []Repository{still, moved}}, found)
	require.Equal(t, []string{"still"}, wrong)
	require.False(t, whole)

	wrong, whole = stood(before, Snapshot{Repositories: []Repository{still, moving}}, found)
	require.Len(t, wrong, 2)
	require.True(t, whole, "what is being removed is nobody's")
}

func TestUnsettled(t *testing.T) {
	t.Parallel()

	ready := Repository{
		Path: "a", State: Ready, Generation: 2, Primary: "x",
		Replicas: map[string]int64{"x": 2, "y": 2},
	}
	behind := Repository{
		Path: "b", State: Ready, Generation: 2,
		Replicas: map[string]int64{"x": 2, "y": 1},
	}
	few := Repository{Path: "c", State: Ready, Generation: 2, Replicas: map[string]int64{"x": 2}}
	leaving := Repository{Path: "d", State: "deleting"}

	settled := Snapshot{Repositories: []Repository{ready}}
	require.Empty(t, settled.Unsettled(2))
	require.False(t, settled.Behind())
	require.Equal(t, []string{"a"}, settled.Primary("x"))
	require.Empty(t, settled.Primary("y"))

	unsettled := Snapshot{
		Open: []string{"{}"}, Repositories: []Repository{ready, behind, few, leaving},
	}
	require.Len(t, unsettled.Unsettled(2), 4)
	require.True(t, Snapshot{Repositories: []Repository{behind}}.Behind())
}
