package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// compare reads the three disks, past the nodes and the proxy.
func (s *story) compare(ctx context.Context) error {
	s.step("Compare the three disks")

	var first string
	for _, node := range s.stage.Nodes() {
		dir := node.Path(s.stage.replicaPath)
		if err := s.user.git(ctx, "--git-dir", dir, "fsck", "--full", "--strict"); err != nil {
			return fmt.Errorf("%s: %w", node.Storage, err)
		}
		state, err := s.references(ctx, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", node.Storage, err)
		}

		if first == "" {
			first = state
		}
		if state != first {
			return fmt.Errorf("%s differs: it has\n%s\ninstead of\n%s",
				node.Storage, state, first)
		}
		s.equal++
		s.saw("%s  git fsck ok, %d references, equal", node.Storage, strings.Count(state, "\n"))
	}
	for line := range strings.Lines(first) {
		s.saw("  %s", strings.TrimSpace(line))
	}

	return nil
}

// references lists HEAD and all references of a repository on disk, one in a line.
func (s *story) references(ctx context.Context, dir string) (string, error) {
	head, err := s.user.output(ctx, "--git-dir", dir, "symbolic-ref", "HEAD")
	if err != nil {
		return "", err
	}
	list, err := s.user.output(ctx, "--git-dir", dir,
		"for-each-ref", "--format=%(objectname) %(refname)")

	return "HEAD -> " + head + "\n" + list, err
}

// cloneBack clones through gateway and proxy and compares with what was pushed.
func (s *story) cloneBack(ctx context.Context) error {
	s.step("Clone it back")

	target := filepath.Join(s.user.dir, "clone")
	s.did("git clone %s", s.stage.remote())
	if err := s.user.git(ctx, "clone", "--quiet", s.stage.remote(), target); err != nil {
		return err
	}

	pushed, err := s.user.output(ctx, "rev-parse", "main")
	if err != nil {
		return err
	}
	cloned, err := s.user.output(ctx, "-C", target, "rev-parse", "HEAD")
	if err != nil {
		return err
	}
	if cloned != pushed {
		return fmt.Errorf("cloned %s, but pushed %s", cloned, pushed)
	}
	s.saw("main is %s, as pushed", cloned)

	return nil
}
