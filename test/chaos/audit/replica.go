package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Replica is what is on a disk.
type Replica struct {
	// References are values by name, Head is where HEAD points to.
	References map[string]string
	Head       string
	// Hooks are the custom hooks: modes and contents by name.
	Hooks map[string]string
	// Fsck is what git fsck says; empty when it finds nothing.
	Fsck string
}

// readReplica reads a replica from its directory.
func readReplica(ctx context.Context, dir string) (Replica, error) {
	r := Replica{References: map[string]string{}}
	list, err := git(ctx, dir, "for-each-ref", "--format=%(refname) %(objectname)%(symref)")
	if err != nil {
		return r, err
	}
	for line := range strings.Lines(list) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		r.References[name] = value
	}
	if r.Head, err = git(ctx, dir, "symbolic-ref", "HEAD"); err != nil {
		return r, err
	}
	r.Head = strings.TrimSpace(r.Head)
	r.Hooks, err = readHooks(filepath.Join(dir, "custom_hooks"))

	return r, err
}

// fsck lets Git check everything.
func fsck(ctx context.Context, r *Replica, dir string) {
	if _, err := git(ctx, dir, "fsck", "--full", "--no-progress", "--no-dangling"); err != nil {
		r.Fsck = err.Error()
	}
}

// git runs Git on a replica, past the node.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", append([]string{"--git-dir", dir}, args...)...)
	command.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME=/nonexistent")
	output, err := command.CombinedOutput()
	if err != nil {
		return string(output), fmt.Errorf("git %s in %s: %w: %s",
			strings.Join(args, " "), dir, err, output)
	}

	return string(output), nil
}

func readHooks(dir string) (map[string]string, error) {
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		found[name] = info.Mode().String() + " " + string(content)

		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read custom hooks: %w", err)
	}

	return found, nil
}

// differences names what two replicas differ in.
func (r Replica) differences(other Replica) []string {
	var found []string
	if r.Head != other.Head {
		found = append(found, fmt.Sprintf("HEAD %s and %s", r.Head, other.Head))
	}
	found = append(found, differing("", r.References, other.References)...)

	return append(found, differing("hook ", r.Hooks, other.Hooks)...)
}

func differing(what string, a, b map[string]string) []string {
	var found []string
	for name, value := range a {
		if b[name] != value {
			found = append(found, fmt.Sprintf("%s%s %q and %q", what, name, value, b[name]))
		}
	}
	for name, value := range b {
		if _, both := a[name]; !both {
			found = append(found, fmt.Sprintf("%s%s %q and %q", what, name, "", value))
		}
	}
	slices.Sort(found)

	return found
}

// remains lists what should not be on a disk: lock files, and repositories that are not recorded.
func remains(disk string, recorded map[string]bool) ([]string, error) {
	var found []string
	err := filepath.WalkDir(disk, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // A node still tidies up.
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(disk, path)
		if err != nil {
			return err
		}
		if name == "+node" {
			return fs.SkipDir // What the node keeps for itself.
		}
		if strings.HasSuffix(name, ".lock") {
			found = append(found, path)
		}
		if entry.IsDir() && !recorded[name] && isRepository(path) {
			found = append(found, path+" is not recorded")
		}

		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look at disk: %w", err)
	}

	return found, nil
}

// isRepository tells whether a directory is a repository, or was one.
func isRepository(dir string) bool {
	for _, part := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Stat(filepath.Join(dir, part)); err == nil {
			return true
		}
	}

	return false
}
