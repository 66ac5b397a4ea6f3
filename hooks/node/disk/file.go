package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// LockedFile replaces a file under a lock, in the manner of Git, which respects the same lock. It
// belongs to one goroutine and ends with Commit or Abort.
type LockedFile struct {
	disk   *Disk
	path   string
	file   *os.File
	placed bool
}

// LockFile locks a file, which need not exist. It fails with [ErrLocked] while somebody else has
// it, Git included.
func (d *Disk) LockFile(path string) (*LockedFile, error) {
	file, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("file %q: %w", filepath.Base(path), ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("lock file: %w", err)
	}

	return &LockedFile{disk: d, path: path, file: file}, nil
}

// Write makes content durable beside the file. It is called once, before Commit.
func (f *LockedFile) Write(content []byte) error {
	if _, err := f.file.Write(content); err != nil {
		return fmt.Errorf("write locked file: %w", err)
	}
	if f.disk.cfg.NoSync {
		return nil
	}
	if err := f.file.Sync(); err != nil {
		return fmt.Errorf("sync locked file: %w", err)
	}

	return nil
}

// Commit puts what was written in place of the file and unlocks it.
func (f *LockedFile) Commit() error {
	if err := os.Rename(f.path+".lock", f.path); err != nil {
		return fmt.Errorf("place locked file: %w", err)
	}
	f.placed = true

	return errors.Join(f.close(), f.disk.syncDir(filepath.Dir(f.path)))
}

// Abort unlocks the file and leaves it as it was. After Commit it does nothing.
func (f *LockedFile) Abort() error {
	if f.placed {
		return nil
	}
	f.placed = true
	if err := os.Remove(f.path + ".lock"); err != nil {
		return errors.Join(fmt.Errorf("unlock file: %w", err), f.close())
	}

	return f.close()
}

func (f *LockedFile) close() error {
	if err := f.file.Close(); err != nil {
		return fmt.Errorf("close locked file: %w", err)
	}

	return nil
}
