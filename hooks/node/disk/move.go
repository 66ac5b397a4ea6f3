package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Stage returns a new empty directory on the same file system as the repositories, and a function
// that removes it with whatever it has become.
func (d *Disk) Stage() (dir string, remove func() error, err error) {
	dir, err = os.MkdirTemp(d.Own(tmpDir), "repository-")
	if err != nil {
		return "", nil, fmt.Errorf("create staging directory: %w", err)
	}
	if err := os.Chmod(dir, dirMode); err != nil {
		return "", nil, errors.Join(fmt.Errorf("open staging directory: %w", err), os.Remove(dir))
	}

	return dir, func() error {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove staging directory: %w", err)
		}

		return nil
	}, nil
}

// SyncTree makes a directory and everything below it durable.
func (d *Disk) SyncTree(dir string) error {
	if d.cfg.NoSync {
		return nil
	}

	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.IsDir() && !entry.Type().IsRegular() {
			return nil
		}

		return syncPath(path)
	})
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}

	return nil
}

// Place moves a directory to the path of a repository, where there must be nothing; it fails with
// [ErrExists] otherwise. The content must be durable already; afterwards its place is.
func (d *Disk) Place(dir, path string) error {
	parent := filepath.Dir(path)
	if err := os.MkdirAll(parent, dirMode); err != nil {
		return fmt.Errorf("create parent directory: %w", err)
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("place repository: %w", ErrExists)
	}
	if err := os.Rename(dir, path); err != nil {
		return fmt.Errorf("place repository: %w", err)
	}

	for parent != d.root {
		if err := d.syncDir(parent); err != nil {
			return err
		}
		parent = filepath.Dir(parent)
	}

	return d.syncDir(d.root)
}

// Replace puts a directory in the place of another, or where there is none, and removes what was
// there before. On Linux, where the file system can, one of them is there at every moment. If the
// new one cannot be placed, the old one stays.
func (d *Disk) Replace(dir, path string) error {
	exchanged, err := exchange(dir, path)
	if err != nil {
		return err
	}
	if !exchanged {
		return d.replaceInSteps(dir, path)
	}
	if err := d.syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove old directory: %w", err)
	}

	return nil
}

func (d *Disk) replaceInSteps(dir, path string) error {
	old, remove, err := d.Stage()
	if err != nil {
		return err
	}
	away := filepath.Join(old, "old")
	err = os.Rename(path, away)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("move old directory away: %w", err), remove())
	}
	moved := err == nil
	if err = os.Rename(dir, path); err == nil {
		return errors.Join(d.syncDir(filepath.Dir(path)), remove())
	}
	err = fmt.Errorf("place new directory: %w", err)
	if moved {
		if failed := os.Rename(away, path); failed != nil {
			// It is left where it is, for whoever can still save it.
			return errors.Join(err, fmt.Errorf("move old directory back: %w", failed))
		}
	}

	return errors.Join(err, remove())
}

// Remove takes a repository away from its path, durably. The returned function removes what is
// left of it from the disk, which can take long.
func (d *Disk) Remove(path string) (discard func() error, err error) {
	dir, remove, err := d.Stage()
	if err != nil {
		return nil, err
	}
	if err := os.Rename(path, filepath.Join(dir, "removed")); err != nil {
		return nil, errors.Join(fmt.Errorf("move repository away: %w", err), remove())
	}

	return remove, d.syncDir(filepath.Dir(path))
}

// Found is one repository of a storage.
type Found struct {
	// Relative is its path below the root.
	Relative string
	// Modified is the time of the last change of its directory.
	Modified time.Time
}

// Walk calls visit for each repository in lexical order, until visit fails or ctx ends.
func (d *Disk) Walk(ctx context.Context, visit func(Found) error) error {
	return d.walk(func(path string) error {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look at repository: %w", err)
		}
		relative, err := d.Relative(path)
		if err != nil {
			return err
		}

		return visit(Found{Relative: relative, Modified: info.ModTime()})
	})
}

// Size returns how many bytes the files below a directory have. Files that vanish meanwhile are
// left out.
func Size(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = entry.Info(); err == nil {
				total += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}

		return err //nolint:wrapcheck // it is wrapped below
	})
	if err != nil {
		return 0, fmt.Errorf("measure directory: %w", err)
	}

	return total, nil
}

func (d *Disk) syncDir(dir string) error {
	if d.cfg.NoSync {
		return nil
	}

	return syncPath(dir)
}

func syncPath(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open to sync: %w", err)
	}
	if err := file.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync: %w", err), file.Close())
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("close synced: %w", err)
	}

	return nil
}
