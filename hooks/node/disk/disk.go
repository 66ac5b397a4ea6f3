package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Names of what the storage keeps for itself.
const (
	ownDir   = "+node"
	lockFile = "lock"
	idFile   = "id"
	tmpDir   = "tmp"
)

const (
	dirMode  = 0o755
	fileMode = 0o644
)

// Config says how a storage is used.
type Config struct {
	// NoSync leaves it to the operating system when a change reaches the disk. A power cut then
	// loses acknowledged changes; only for tests.
	NoSync bool
}

// Disk is the directory of a storage.
type Disk struct {
	root string
	lock *os.File
	cfg  Config

	mu     sync.Mutex          // guards the field below
	locked map[string]struct{} // relative paths
}

// Recovered counts what Open has tidied up.
type Recovered struct {
	// Repositories is how many there are.
	Repositories int
	// Locks, Quarantines and Unfinished are the removed lock files, directories with objects of
	// unfinished pushes, and repositories that were not complete or removed already.
	Locks, Quarantines, Unfinished int
}

// Open takes a storage into use and tidies up what a crash left. The directory must exist. It fails
// with [ErrInUse] while another process has it.
func Open(root string, cfg Config) (*Disk, Recovered, error) {
	start := time.Now()
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, Recovered{}, fmt.Errorf("find storage: %w", err)
	}
	if _, err := os.Stat(root); err != nil {
		return nil, Recovered{}, fmt.Errorf("open storage: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(root, ownDir, tmpDir), dirMode); err != nil {
		return nil, Recovered{}, fmt.Errorf("create directory of storage: %w", err)
	}

	lock, err := lockExclusively(filepath.Join(root, ownDir, lockFile))
	if err != nil {
		return nil, Recovered{}, err
	}

	d := &Disk{root: root, lock: lock, cfg: cfg, locked: make(map[string]struct{})}
	recovered, err := d.recover(start)
	if err != nil {
		return nil, Recovered{}, errors.Join(err, d.Close())
	}

	return d, recovered, nil
}

// Close lets other processes use the storage.
func (d *Disk) Close() error {
	// Closing would not do: a process that is just being started has the file too, for a moment.
	if err := unlock(d.lock); err != nil {
		return errors.Join(err, d.lock.Close())
	}
	if err := d.lock.Close(); err != nil {
		return fmt.Errorf("close lock of storage: %w", err)
	}

	return nil
}

// Root is the directory of the storage.
func (d *Disk) Root() string { return d.root }

// Own returns a path for a file that the node keeps beside the repositories.
func (d *Disk) Own(name string) string { return filepath.Join(d.root, ownDir, name) }

// Path returns where the repository with a relative path lies, whether it exists or not. It fails
// with [ErrInvalidPath].
func (d *Disk) Path(relative string) (string, error) {
	local := filepath.FromSlash(relative)
	if !filepath.IsLocal(local) || filepath.Clean(local) != local || local == "." ||
		strings.ContainsRune(local, 0) {
		return "", fmt.Errorf("%w: %q", ErrInvalidPath, relative)
	}
	if first, _, _ := strings.Cut(relative, "/"); first == ownDir {
		return "", fmt.Errorf("%w: %q is reserved", ErrInvalidPath, first)
	}

	return filepath.Join(d.root, local), nil
}

// Relative is the reverse of Path.
func (d *Disk) Relative(path string) (string, error) {
	relative, err := filepath.Rel(d.root, path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalidPath, err)
	}
	relative = filepath.ToSlash(relative)
	if _, err := d.Path(relative); err != nil {
		return "", err
	}

	return relative, nil
}

// IsRepository tells whether there is a repository in a directory.
func IsRepository(dir string) bool {
	for _, entry := range []string{"objects", "refs"} {
		if info, err := os.Stat(filepath.Join(dir, entry)); err != nil || !info.IsDir() {
			return false
		}
	}
	info, err := os.Lstat(filepath.Join(dir, "HEAD"))

	return err == nil && !info.IsDir()
}

// Nested tells whether a directory lies inside a repository.
func (d *Disk) Nested(dir string) bool {
	for dir = filepath.Dir(dir); len(dir) > len(d.root); dir = filepath.Dir(dir) {
		if IsRepository(dir) {
			return true
		}
	}

	return false
}

// Lock excludes others from creating or removing a repository. It does not wait: it fails with
// [ErrLocked] while somebody has it.
func (d *Disk) Lock(relative string) (unlock func(), err error) {
	d.mu.Lock()
	defer d.mu.Unlock()

	if _, ok := d.locked[relative]; ok {
		return nil, fmt.Errorf("repository %q: %w", relative, ErrLocked)
	}
	d.locked[relative] = struct{}{}

	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.locked, relative)
	}), nil
}

// ID returns the storage's identity. At the first time, create makes one.
func (d *Disk) ID(create func() string) (string, error) {
	path := d.Own(idFile)
	content, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(content)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read identity of storage: %w", err)
	}

	id := create()

	return id, d.Keep(idFile, []byte(id+"\n"))
}

// Keep writes a file that the node keeps beside the repositories, durably and wholly or not at all.
func (d *Disk) Keep(name string, content []byte) error {
	file, err := os.CreateTemp(d.Own(tmpDir), name+"-")
	if err != nil {
		return fmt.Errorf("create file to keep: %w", err)
	}
	unfinished := file.Name()
	_, err = file.Write(content)
	if err = errors.Join(err, file.Chmod(fileMode), file.Close()); err == nil {
		err = d.SyncTree(unfinished)
	}
	if err == nil {
		err = os.Rename(unfinished, d.Own(name))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %q: %w", name, err), os.Remove(unfinished))
	}

	return d.syncDir(filepath.Dir(d.Own(name)))
}

// IsRemains tells whether a directory is what is left of a repository: it has parts of one, but is
// none, and has none below it.
func IsRemains(dir string) bool {
	if IsRepository(dir) || !hasParts(dir) {
		return false
	}

	empty := true
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && IsRepository(path) {
			empty = false

			return fs.SkipAll
		}

		return err
	})

	return err == nil && empty
}

// hasParts tells whether a directory has any of what every repository has.
func hasParts(dir string) bool {
	for entry, isDir := range map[string]bool{
		"HEAD": false, "config": false, "packed-refs": false, "objects": true, "refs": true,
	} {
		info, err := os.Lstat(filepath.Join(dir, entry))
		if err == nil && info.IsDir() == isDir {
			return true
		}
	}

	return false
}
