package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"praefect/test/cluster"
)

// state is the content of a replica, read from its disk.
type state struct {
	// refs are the references with what they hold, and HEAD.
	refs map[string]string
	// hooks is the content of all custom hooks.
	hooks string
	// text is all of it, for comparison.
	text string
}

// readState reads a replica without asking its node.
func readState(ctx context.Context, node *cluster.Node, replicaPath string) (state, error) {
	path := node.Path(replicaPath)
	head, err := os.ReadFile(filepath.Join(path, "HEAD"))
	if err != nil {
		return state{}, fmt.Errorf("%s: read HEAD: %w", node.Storage, err)
	}
	command := exec.CommandContext(ctx, "git", "--git-dir", path,
		"for-each-ref", "--format=%(refname) %(objectname)")
	command.Env = append(command.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME=/nonexistent")
	output, err := command.Output()
	if err != nil {
		return state{}, fmt.Errorf("%s: list references: %w", node.Storage, err)
	}
	hooks, err := readHooks(filepath.Join(path, "custom_hooks"))
	if err != nil {
		return state{}, fmt.Errorf("%s: %w", node.Storage, err)
	}

	found := state{
		refs: map[string]string{}, hooks: hooks,
		text: fmt.Sprintf("HEAD %s%s%s", head, output, hooks),
	}
	for line := range strings.Lines(string(output)) {
		if name, id, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			found.refs[name] = id
		}
	}

	return found, nil
}

// readHooks returns names, modes and contents of all files; nothing if there is no directory.
func readHooks(dir string) (string, error) {
	var text strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		fmt.Fprintf(&text, "hook %s %s\n%s", relative, info.Mode(), content)

		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read hooks: %w", err)
	}

	return text.String(), nil
}

// stopped says which thread of a process is not stopped.
func stopped(process int) error {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", process))
	if err != nil {
		return err
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		// The state follows the name, which is in parentheses.
		_, state, _ := strings.Cut(string(content), ") ")
		if !strings.HasPrefix(state, "T") {
			return fmt.Errorf("%s: not stopped: %.1s", file, state)
		}
	}

	return nil
}

// remains are what must not be left on a disk.
type remains struct {
	locks []string
	// repositories are the paths of all, relative to the disk.
	repositories []string
}

// scan looks through a disk. Files that come and go meanwhile do not matter.
func scan(node *cluster.Node) (remains, error) {
	var found remains
	err := filepath.WalkDir(node.Disk, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}

			return err
		}
		relative, err := filepath.Rel(node.Disk, path)
		if err != nil {
			return err
		}
		switch {
		case strings.HasSuffix(path, ".lock"):
			found.locks = append(found.locks, node.Storage+": "+relative)
		case entry.IsDir() && entry.Name() == "objects":
			found.repositories = append(found.repositories, filepath.Dir(relative))

			return fs.SkipDir
		}

		return nil
	})
	if err != nil {
		return found, fmt.Errorf("scan disk of %s: %w", node.Storage, err)
	}

	return found, nil
}
