package disk_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"praefect/hooks/node/disk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, root string) (*disk.Disk, disk.Recovered) {
	t.Helper()

	d, recovered, err := disk.Open(root, disk.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })

	return d, recovered
}

// write makes a file with the modification time of some hours ago.
func write(t *testing.T, path string) {
	t.Helper()

	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte("content\n"), 0o644))
	age(t, path)
}

func age(t *testing.T, path string) {
	t.Helper()

	old := time.Now().Add(-3 * time.Hour)
	require.NoError(t, os.Chtimes(path, old, old))
}

// repository makes what looks like a repository.
func repository(t *testing.T, path string) string {
	t.Helper()

	write(t, filepath.Join(path, "HEAD"))
	write(t, filepath.Join(path, "refs/heads/main"))
	write(t, filepath.Join(path, "objects/info/packs"))

	return path
}

func TestPaths(t *testing.T) {
	t.Parallel()

	root := t.TempDir()
	d, _ := open(t, root)

	for relative, ok := range map[string]bool{
		"@hashed/aa/bb/x.git": true, "x": true, "@cluster/repositories/6b/86/1": true,
		"": false, ".": false, "..": false, "../x": false, "a/../../x": false, "a/../x": false,
		"/etc": false, "a//b": false, "a/": false, "./a": false, "a/..": false,
		"+node": false, "+node/tmp/x": false, "x/+node": true, "a\x00b": false,
	} {
		path, err := d.Path(relative)
		if !ok {
			require.ErrorIs(t, err, disk.ErrInvalidPath, relative)

			continue
		}
		require.NoError(t, err, relative)
		require.Equal(t, filepath.Join(root, relative), path)
		back, err := d.Relative(path)
		require.NoError(t, err)
		require.Equal(t, relative, back)
	}

	_, err := d.Relative(filepath.Dir(root))
	require.ErrorIs(t, err, disk.ErrInvalidPath)
}

func TestOneProcessAtATime(t *testing.T) {
	t.Parallel()

	root := t.TempDir()
	first, _, err := disk.Open(root, disk.Config{})
	require.NoError(t, err)
	_, _, err = disk.Open(root, disk.Config{})
	require.ErrorIs(t, err, disk.ErrInUse)
	require.NoError(t, first.Close())
	open(t, root)

	_, _, err = disk.Open(filepath.Join(root, "missing"), disk.Config{})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestIdentityStays(t *testing.T) {
	t.Parallel()

	d, _ := open(t, t.TempDir())
	for _, created := range []string{"first", "second"} {
		id, err := d.ID(func() string { return created })
		require.NoError(t, err)
		require.Equal(t, "first", id)
	}
}

func TestTidiesUpAfterACrash(t *testing.T) {
	t.Parallel()

	root := t.TempDir()
	repo := repository(t, filepath.Join(root, "a/b/c.git"))
	repository(t, filepath.Join(root, "d.git"))

	gone := []string{
		"HEAD.lock", "config.lock", "packed-refs.lock", "packed-refs.new", "refs/heads/main.lock",
		"refs/heads/x/y.lock", "objects/info/alternates.lock", "objects/pack/tmp_pack_abc",
		"objects/tmp_objdir-incoming-1/pack/x.pack", "objects/incoming-2/ab/cd",
	}
	kept := []string{
		"HEAD", "refs/heads/main", "refs/heads/pack/tmp_branch", "refs/heads/packed-refs.new",
		"objects/pack/pack-1.pack", "objects/ab/cdef", "custom_hooks/yarn.lock",
	}
	for _, name := range append(gone, kept...) {
		write(t, filepath.Join(repo, name))
	}
	age(t, filepath.Join(repo, "objects/tmp_objdir-incoming-1"))
	age(t, filepath.Join(repo, "objects/incoming-2"))
	repository(t, filepath.Join(root, "+node/tmp/repository-1"))
	// A lock from the future is not older than the start: it cannot be judged, so it stays.
	young := filepath.Join(repo, "refs/heads/young.lock")
	write(t, young)
	future := time.Now().Add(time.Hour)
	require.NoError(t, os.Chtimes(young, future, future))

	_, recovered := open(t, root)
	require.Empty(t, cmp.Diff(disk.Recovered{
		Repositories: 2, Locks: 8, Quarantines: 2, Unfinished: 1,
	}, recovered))
	for _, name := range gone {
		require.NoFileExists(t, filepath.Join(repo, name))
	}
	for _, name := range kept {
		require.FileExists(t, filepath.Join(repo, name))
	}
	require.FileExists(t, young)
	require.NoDirExists(t, filepath.Join(root, "+node/tmp/repository-1"))
}

func TestLocks(t *testing.T) {
	t.Parallel()

	d, _ := open(t, t.TempDir())
	unlock, err := d.Lock("x")
	require.NoError(t, err)
	_, err = d.Lock("x")
	require.ErrorIs(t, err, disk.ErrLocked)
	other, err := d.Lock("y")
	require.NoError(t, err)
	other()
	unlock()
	unlock()
	again, err := d.Lock("x")
	require.NoError(t, err)
	again()
}

func TestLockedFile(t *testing.T) {
	t.Parallel()

	d, _ := open(t, t.TempDir())
	path := filepath.Join(d.Root(), "config")

	file, err := d.LockFile(path)
	require.NoError(t, err)
	require.NoError(t, file.Write([]byte("one")))
	_, err = d.LockFile(path)
	require.ErrorIs(t, err, disk.ErrLocked)
	require.NoFileExists(t, path)
	require.NoError(t, file.Commit())
	require.NoError(t, file.Abort(), "after the commit it does nothing")

	file, err = d.LockFile(path)
	require.NoError(t, err)
	require.NoError(t, file.Write([]byte("two")))
	require.NoError(t, file.Abort())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "one", string(content))
	require.NoFileExists(t, path+".lock")

	_, err = d.LockFile(filepath.Join(d.Root(), "missing", "config"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestRepositoriesComeAndGo(t *testing.T) {
	t.Parallel()

	d, _ := open(t, t.TempDir())
	path, err := d.Path("a/b.git")
	require.NoError(t, err)

	place := func() error {
		dir, remove, err := d.Stage()
		require.NoError(t, err)
		defer func() { require.NoError(t, remove()) }()
		repository(t, dir)
		require.NoError(t, d.SyncTree(dir))

		return d.Place(dir, path)
	}
	require.False(t, disk.IsRepository(path))
	require.NoError(t, place())
	require.True(t, disk.IsRepository(path))
	require.ErrorIs(t, place(), disk.ErrExists)
	require.True(t, d.Nested(filepath.Join(path, "refs/x.git")))
	require.False(t, d.Nested(path))

	size, err := disk.Size(path)
	require.NoError(t, err)
	require.Equal(t, int64(3*len("content\n")), size)

	discard, err := d.Remove(path)
	require.NoError(t, err)
	require.NoDirExists(t, path)
	require.NoError(t, discard())
	entries, err := os.ReadDir(d.Own("tmp"))
	require.NoError(t, err)
	require.Empty(t, entries)
	_, err = d.Remove(path)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestRemains(t *testing.T) {
	t.Parallel()

	root := t.TempDir()
	complete := repository(t, filepath.Join(root, "complete"))
	require.False(t, disk.IsRemains(complete))
	require.False(t, disk.IsRemains(filepath.Join(root, "missing")))

	broken := repository(t, filepath.Join(root, "broken"))
	require.NoError(t, os.Remove(filepath.Join(broken, "HEAD")))
	require.True(t, disk.IsRemains(broken))

	// Groups of repositories can have any name.
	repository(t, filepath.Join(root, "group/objects/x.git"))
	repository(t, filepath.Join(root, "group/config/y.git"))
	require.False(t, disk.IsRemains(filepath.Join(root, "group")))
	require.False(t, disk.IsRemains(root))
}

func TestReplace(t *testing.T) {
	t.Parallel()

	d, _ := open(t, t.TempDir())
	path := filepath.Join(d.Root(), "custom_hooks")
	for _, name := range []string{"first", "second"} {
		dir, remove, err := d.Stage()
		require.NoError(t, err)
		write(t, filepath.Join(dir, name))
		require.NoError(t, d.Replace(dir, path))
		require.NoDirExists(t, dir)
		require.NoError(t, remove())
	}
	require.FileExists(t, filepath.Join(path, "second"))
	require.NoFileExists(t, filepath.Join(path, "first"))
}

// TestReplaceFails has nothing to put in the place: what is there stays.
func TestReplaceFails(t *testing.T) {
	t.Parallel()

	d, _ := open(t, t.TempDir())
	path := filepath.Join(d.Root(), "custom_hooks")
	write(t, filepath.Join(path, "first"))
	require.ErrorIs(t, d.Replace(filepath.Join(d.Root(), "nothing"), path), os.ErrNotExist)
	require.FileExists(t, filepath.Join(path, "first"))
	left, err := os.ReadDir(d.Own("tmp"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestReplaceLeavesNoGap looks at a directory all the time while it is replaced.
func TestReplaceLeavesNoGap(t *testing.T) {
	t.Parallel()

	if runtime.GOOS != "linux" {
		t.Skip("no other system can exchange directories")
	}
	d, _ := open(t, t.TempDir())
	path := filepath.Join(d.Root(), "custom_hooks")
	write(t, filepath.Join(path, "hook"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	missing := make(chan int, 1)
	go func() {
		found := 0
		for ctx.Err() == nil {
			if _, err := os.Stat(path); err != nil {
				found++
			}
		}
		missing <- found
	}()
	for range 50 {
		dir, remove, err := d.Stage()
		require.NoError(t, err)
		write(t, filepath.Join(dir, "hook"))
		require.NoError(t, d.Replace(dir, path))
		require.NoError(t, remove())
	}
	cancel()
	require.Zero(t, <-missing)
}

func TestWalk(t *testing.T) {
	t.Parallel()

	d, _ := open(t, t.TempDir())
	for _, relative := range []string{"b.git", "a/x.git", "a/y.git"} {
		path, err := d.Path(relative)
		require.NoError(t, err)
		repository(t, path)
		age(t, path)
	}

	var found []string
	require.NoError(t, d.Walk(t.Context(), func(f disk.Found) error {
		require.WithinDuration(t, time.Now().Add(-3*time.Hour), f.Modified, time.Minute)
		found = append(found, f.Relative)

		return nil
	}))
	require.Equal(t, []string{"a/x.git", "a/y.git", "b.git"}, found)

	enough := errors.New("enough")
	require.ErrorIs(t, d.Walk(t.Context(), func(disk.Found) error { return enough }), enough)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, d.Walk(ctx, func(disk.Found) error { return nil }), context.Canceled)
}
