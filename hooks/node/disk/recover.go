package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// recover removes what is older than start and belongs to nobody.
func (d *Disk) recover(start time.Time) (Recovered, error) {
	var r recovery
	r.start = start

	tmp := d.Own(tmpDir)
	entries, err := os.ReadDir(tmp)
	if err != nil {
		return Recovered{}, fmt.Errorf("list unfinished repositories: %w", err)
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(tmp, entry.Name())); err != nil {
			return Recovered{}, fmt.Errorf("remove unfinished repository: %w", err)
		}
		r.found.Unfinished++
	}

	err = d.walk(func(path string) error {
		r.found.Repositories++

		return r.tidy(path)
	})

	return r.found, err
}

// walk calls visit for each repository. Repositories that vanish meanwhile are left out.
func (d *Disk) walk(visit func(path string) error) error {
	err := filepath.WalkDir(d.root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case !entry.IsDir():
			return nil
		case path == filepath.Join(d.root, ownDir):
			return fs.SkipDir
		case !IsRepository(path):
			return nil
		}
		if err := visit(path); err != nil {
			return err
		}

		return fs.SkipDir
	})
	if err != nil {
		return fmt.Errorf("walk storage: %w", err)
	}

	return nil
}

// recovery tidies up repositories.
type recovery struct {
	start time.Time
	found Recovered
}

// tidy removes lock files and quarantines of a repository. It does not look at single objects, of
// which there can be very many, nor at custom hooks, which may have files with any name.
func (r *recovery) tidy(repository string) error {
	err := filepath.WalkDir(repository, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(repository, path)
		if err != nil {
			return fmt.Errorf("name of %q: %w", path, err)
		}

		name := filepath.ToSlash(relative)
		switch {
		case !entry.IsDir():
			return r.removeFile(path, name, entry)
		case name == "custom_hooks" || isObjects(name):
			return fs.SkipDir
		case isQuarantine(name):
			if err := r.removeQuarantine(path, entry); err != nil {
				return err
			}

			return fs.SkipDir
		default:
			return nil
		}
	})
	if err != nil {
		return fmt.Errorf("tidy up %q: %w", repository, err)
	}

	return nil
}

// isObjects tells whether a directory has loose objects: objects/ and two hex digits.
func isObjects(name string) bool {
	digits, ok := strings.CutPrefix(name, "objects/")

	return ok && len(digits) == 2
}

// isQuarantine tells whether a directory has the objects of a push that is not accepted yet.
func isQuarantine(name string) bool {
	return strings.HasPrefix(name, "objects/incoming-") ||
		strings.HasPrefix(name, "objects/tmp_objdir-")
}

// isTemporary tells whether a file is a lock, which no reference can be named like, or was being
// written.
func isTemporary(name string) bool {
	return strings.HasSuffix(name, ".lock") || name == "packed-refs.new" ||
		strings.HasPrefix(name, "objects/pack/tmp_")
}

func (r *recovery) removeFile(path, name string, entry fs.DirEntry) error {
	if !isTemporary(name) || !r.isOld(entry) {
		return nil
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove lock: %w", err)
	}
	r.found.Locks++

	return nil
}

func (r *recovery) removeQuarantine(path string, entry fs.DirEntry) error {
	if !r.isOld(entry) {
		return nil
	}
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("remove quarantine: %w", err)
	}
	r.found.Quarantines++

	return nil
}

func (r *recovery) isOld(entry fs.DirEntry) bool {
	info, err := entry.Info()

	return err == nil && info.ModTime().Before(r.start)
}
