package acceptance_test

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

// legacySchema are the tables of the existing release.
const legacySchema = "../../coordinator/postgres/testdata/existing_schema.sql"

// legacyRows are three repositories as the existing release records them. One is everywhere and
// current, one is assigned to two storages, the third is behind on one storage.
const legacyRows = `
INSERT INTO public.repositories
       (repository_id, virtual_storage, relative_path, replica_path, generation, "primary")
VALUES (1, 'default', '@hashed/one.git', '@cluster/repositories/6b/86/1', 5, 'gitaly-2'),
       (2, 'default', 'two.git', '@cluster/repositories/d4/73/2', 2, 'gitaly-3'),
       (3, 'default', 'three.git', '@cluster/repositories/4e/07/3', 7, 'gitaly-2');
INSERT INTO public.storage_repositories
       (repository_id, virtual_storage, relative_path, storage, generation)
SELECT r.repository_id, r.virtual_storage, r.relative_path, s.storage,
       r.generation - CASE WHEN s.storage = 'gitaly-1' AND r.repository_id = 3 THEN 1 ELSE 0 END
  FROM public.repositories AS r,
       unnest(ARRAY['gitaly-1', 'gitaly-2', 'gitaly-3']) AS s (storage)
 WHERE r.repository_id <> 2 OR s.storage <> 'gitaly-2';
INSERT INTO public.repository_assignments
       (repository_id, virtual_storage, relative_path, storage)
VALUES (2, 'default', 'two.git', 'gitaly-1'), (2, 'default', 'two.git', 'gitaly-3');
INSERT INTO public.node_status
       (praefect_name, shard_name, node_name, last_contact_attempt_at, last_seen_active_at)
VALUES ('old:2305', 'default', 'gitaly-1', now() - interval '2 minutes', now());
`

// legacy is what the existing release has left: its database, and repositories on the disks of a
// cluster whose proxy does not run.
type legacy struct {
	*cluster.Cluster
	old cluster.Database
	// option names the old database to a command.
	option func(name string) []string
	// head is what main points to.
	head string
	// files are those of the replicas that are current.
	files map[string]identity
}

// identity tells whether a file is the one that was there before.
type identity struct {
	inode   uint64
	changed time.Time
}

func identities(t *testing.T, dir string) map[string]identity {
	t.Helper()
	found := map[string]identity{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		require.True(t, ok)
		found[path] = identity{stat.Ino, info.ModTime()}

		return nil
	}))

	return found
}

// newLegacy has the old tables in the database of the new ones, or in another.
func newLegacy(t *testing.T, separate bool) *legacy {
	t.Helper()
	own := newDatabase(t)
	l := &legacy{
		old: own, files: map[string]identity{}, option: func(string) []string { return nil },
	}
	if separate {
		l.old = newDatabase(t)
	}
	schema, err := os.ReadFile(legacySchema)
	require.NoError(t, err)
	execute(t, l.old, string(schema)+legacyRows)
	l.Cluster = start(t, cluster.Config{Database: own})
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	require.NoError(t, l.Proxy().Process().Terminate(ctx))
	if separate {
		content, err := os.ReadFile(l.Proxy().ConfigFile)
		require.NoError(t, err)
		file := written(t, set(string(content), "dbname", l.old.Name))
		l.option = func(name string) []string { return []string{name, file} }
	}
	l.fill(t)

	return l
}

// fill puts the repositories on the disks. What is behind lacks the second commit.
func (l *legacy) fill(t *testing.T) {
	t.Helper()
	user := t.TempDir()
	git(t, user, "init", "--quiet", "--initial-branch=main")
	for _, number := range []string{"first", "second"} {
		require.NoError(t, os.WriteFile(filepath.Join(user, "file"), []byte(number), 0o600))
		git(t, user, "add", "file")
		git(t, user, "commit", "--quiet", "-m", number)
		git(t, user, "clone", "--quiet", "--bare", ".", number+".git")
		git(t, filepath.Join(user, number+".git"), "repack", "-adq")
	}
	l.head = git(t, user, "rev-parse", "main")
	put := func(node *cluster.Node, source, replicaPath string) {
		path := node.Path(replicaPath)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.CopyFS(path, os.DirFS(filepath.Join(user, source+".git"))))
		if source == "second" {
			maps.Copy(l.files, identities(t, filepath.Join(path, "objects")))
		}
	}
	for _, node := range l.Nodes() {
		put(node, "second", "@cluster/repositories/6b/86/1")
		if node.Storage != "gitaly-2" {
			put(node, "second", "@cluster/repositories/d4/73/2")
		}
		source := "second"
		if node.Storage == "gitaly-1" {
			source = "first"
		}
		put(node, source, "@cluster/repositories/4e/07/3")
	}
	require.NotEmpty(t, l.files)
}

// execute runs statements.
func execute(t *testing.T, database cluster.Database, text string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database.DSN())
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), text)
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}

// lines returns the rows of a statement that selects a text.
func lines(t *testing.T, database cluster.Database, text string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database.DSN())
	require.NoError(t, err)
	rows, err := conn.Query(t.Context(), text)
	require.NoError(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))

	return found
}

// push adds a commit to a repository through the proxy.
func (l *legacy) push(t *testing.T, path, message string) {
	t.Helper()
	user := t.TempDir()
	git(t, user, "clone", "--quiet", l.GitURL(path), "copy")
	copied := filepath.Join(user, "copy")
	git(t, copied, "commit", "--quiet", "--allow-empty", "-m", message)
	git(t, copied, "push", "--quiet", "origin", "main")
	require.Equal(t, git(t, copied, "rev-parse", "main"),
		git(t, copied, "ls-remote", l.GitURL(path), "refs/heads/main")[:40])
}

// TestMove takes a cluster over from the existing release and back, with its tables in the same
// database and in another one: nothing is copied, all is served at once, and what missed a write
// does not come back as current.
func TestMove(t *testing.T) {
	t.Parallel()
	for name, separate := range map[string]bool{"same database": false, "another": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLegacy(t, separate)
			l.takeOver(t)
			l.serve(t)
			l.giveBack(t)
			for file, id := range l.files {
				info, err := os.Stat(file)
				require.NoError(t, err)
				stat, ok := info.Sys().(*syscall.Stat_t)
				require.True(t, ok)
				now := identity{stat.Ino, info.ModTime()}
				require.Equal(t, id, now, file)
			}
		})
	}
}

// takeOver imports, after a trial that changes nothing.
func (l *legacy) takeOver(t *testing.T) {
	t.Helper()
	const what = "3 repositories, 8 replicas, 8 assignments; 0 repositories left out.\n"
	args := append([]string{"import"}, l.option("-from")...)
	require.Equal(t, "DRY RUN -- would import "+what,
		command(t, l.Cluster, append(args, "-dry-run")...))
	require.Empty(t, lines(t, l.Database(), "SELECT id::text FROM praefect.repositories"))
	require.Equal(t, "Imported "+what, command(t, l.Cluster, args...))
}

// serve reads and writes at once, has the replica repaired that is behind, and writes with a node
// down, which leads one of the repositories.
func (l *legacy) serve(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	require.NoError(t, l.Proxy().Start(ctx))
	for _, path := range []string{"@hashed/one.git", "two.git", "three.git"} {
		user := t.TempDir()
		require.Equal(t, l.head+"\trefs/heads/main",
			git(t, user, "ls-remote", l.GitURL(path), "refs/heads/main"))
		l.push(t, path, "with all nodes")
	}
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		require.True(collect, metadataOf(collect, l.Cluster, "three.git").current(3))
	}, wait, tick)
	require.True(t, metadataOf(t, l.Cluster, "@hashed/one.git").current(3))
	two := metadataOf(t, l.Cluster, "two.git")
	require.True(t, two.current(2))
	require.Equal(t, "gitaly-3", two.Primary)

	require.NoError(t, l.Nodes()[2].Kill())
	conn := dialled(t, l.Cluster, l.Proxy().Address)
	for _, path := range []string{"@hashed/one.git", "two.git"} {
		require.EventuallyWithT(t, func(collect *assert.CollectT) {
			require.NoError(collect, write(t.Context(), conn, &gitalypb.Repository{
				StorageName: "default", RelativePath: path,
			}, "main"))
			require.NotEqual(collect, "gitaly-3", metadataOf(collect, l.Cluster, path).Primary)
		}, wait, tick)
		l.push(t, path, "with a node down")
	}
}

// giveBack exports, and compares the old tables with what was served last.
func (l *legacy) giveBack(t *testing.T) {
	t.Helper()
	var repositories, replicas []string
	for _, path := range []string{"@hashed/one.git", "two.git", "three.git"} {
		known := metadataOf(t, l.Cluster, path)
		repositories = append(repositories, fmt.Sprintf("%d default %s %s %d %s",
			known.RepositoryID, path, known.ReplicaPath, known.Generation, known.Primary))
		for _, replica := range known.Replicas {
			behind := path != "three.git" && replica.Storage == "gitaly-3"
			require.Equal(t, behind, replica.Generation < known.Generation, replica)
			replicas = append(replicas, fmt.Sprintf("%d %s %s %d",
				known.RepositoryID, path, replica.Storage, replica.Generation))
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	args := append([]string{"export"}, l.option("-to")...)
	require.Contains(t, refused(t, l.Cluster, args...), "1 proxies serve")
	require.NoError(t, l.Proxy().Process().Terminate(ctx))
	require.Equal(t, "Exported 3 repositories, 8 replicas, 2 assignments; "+
		"0 repositories removed.\n", command(t, l.Cluster, args...))
	require.Equal(t, repositories, lines(t, l.old, `
		SELECT concat_ws(' ', repository_id, virtual_storage, relative_path, replica_path,
		                 generation, "primary")
		  FROM public.repositories ORDER BY repository_id`))
	require.Contains(t, repositories[1], " gitaly-1")
	require.Equal(t, replicas, lines(t, l.old, `
		SELECT concat_ws(' ', repository_id, relative_path, storage, generation)
		  FROM public.storage_repositories ORDER BY repository_id, storage`))
	require.Equal(t, []string{"2 gitaly-1", "2 gitaly-3"}, lines(t, l.old, `
		SELECT concat_ws(' ', repository_id, storage)
		  FROM public.repository_assignments ORDER BY repository_id, storage`))
}
