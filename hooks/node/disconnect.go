package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"praefect/hooks"
	"praefect/proxy/gitalypb"
)

// DisconnectGitAlternates implements gitalypb.ObjectPoolServiceServer.
func (s *objectPoolService) DisconnectGitAlternates(
	ctx context.Context, request *gitalypb.DisconnectGitAlternatesRequest,
) (*gitalypb.DisconnectGitAlternatesResponse, error) {
	repo, err := s.node.find(request.GetRepository())
	if err != nil {
		return nil, err
	}
	part, err := s.node.participate(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.node.disconnect(ctx, part, repo); err != nil {
		return nil, fmt.Errorf("disconnect from pool: %w", err)
	}

	return &gitalypb.DisconnectGitAlternatesResponse{}, nil
}

// disconnect gives a repository all objects of its pool and ends the borrowing. All, not only those
// that are reachable: a push that runs at the same time may rely on any of them.
func (n *Node) disconnect(ctx context.Context, part participation, repo repository) error {
	pool, err := n.poolOf(repo)
	if err != nil {
		return err
	}
	if pool == "" {
		if err := part.Vote(ctx, hooks.Synchronized, hooks.NothingBorrowed()); err != nil {
			return failf(refusalCode(err), "vote on missing alternates: %w", err)
		}

		return nil
	}
	path, err := n.disk.Path(pool)
	if err != nil {
		return fmt.Errorf("locate pool: %w", err)
	}

	err = inVotes(ctx, part, hooks.MigrateObjects(), func() error {
		return linkObjects(filepath.Join(path, "objects"), filepath.Join(repo.path, "objects"))
	})
	if err != nil {
		return fmt.Errorf("migrate objects: %w", err)
	}

	err = inVotes(ctx, part, hooks.DisconnectAlternate(), func() error {
		file, err := n.disk.LockFile(alternates(repo.path))
		if err != nil {
			return err
		}
		if err := n.disk.SyncTree(filepath.Join(repo.path, "objects")); err != nil {
			return errors.Join(err, file.Abort())
		}
		if err := os.Remove(alternates(repo.path)); err != nil {
			return errors.Join(fmt.Errorf("remove alternates: %w", err), file.Abort())
		}

		return errors.Join(file.Abort(), n.disk.SyncTree(filepath.Dir(alternates(repo.path))))
	})
	if err != nil {
		return fmt.Errorf("disconnect alternate: %w", err)
	}

	return nil
}

// inVotes does something between the votes for it.
func inVotes(ctx context.Context, part participation, hash hooks.Hash, do func() error) error {
	for _, phase := range []hooks.Phase{hooks.Preparing, hooks.Prepared} {
		if err := part.Vote(ctx, phase, hash); err != nil {
			return failf(refusalCode(err), "%s vote: %w", phase, err)
		}
	}
	if err := do(); err != nil {
		return err
	}
	if err := part.Vote(ctx, hooks.Committed, hash); err != nil {
		return failf(refusalCode(err), "%s vote: %w", hooks.Committed, err)
	}

	return nil
}

// linkObjects gives one object directory all objects of another. An index comes after its pack, so
// that nobody finds the one without the other.
func linkObjects(from, to string) error {
	var names []string
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return fmt.Errorf("name object: %w", err)
		}
		if !entry.IsDir() && isObjectFile(filepath.ToSlash(name)) {
			names = append(names, name)
		}

		return nil
	})
	if err != nil {
		return fmt.Errorf("list objects: %w", err)
	}

	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(
			cmp.Compare(rank(a), rank(b)), strings.Compare(a, b))
	})
	for _, name := range names {
		if err := linkFile(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			return err
		}
	}

	return nil
}

// rank orders the files of an object directory: what makes a pack visible comes last.
func rank(name string) int {
	if filepath.Ext(name) == ".idx" {
		return 1
	}

	return 0
}

// isObjectFile tells whether a file of an object directory has objects, or belongs to a pack.
func isObjectFile(name string) bool {
	dir, base, ok := strings.Cut(name, "/")
	if !ok {
		return false
	}

	return len(dir) == 2 && !strings.HasPrefix(base, "tmp_") ||
		dir == "pack" && strings.HasPrefix(base, "pack-") && filepath.Ext(base) != ".bitmap"
}

// linkFile links a file that may be there already, or copies it where it cannot be linked.
func linkFile(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("create directory of objects: %w", err)
	}
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}

	return copyFile(from, to)
}

// copyFile copies a file so that nobody sees half of it.
func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("open object: %w", err)
	}
	defer source.Close() //nolint:errcheck // read only

	target, err := os.CreateTemp(filepath.Dir(to), "tmp_copy_")
	if err != nil {
		return fmt.Errorf("create object: %w", err)
	}
	_, err = io.Copy(target, source)
	if err = errors.Join(err, target.Chmod(0o444), target.Close()); err == nil {
		err = os.Rename(target.Name(), to)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("copy object: %w", err), os.Remove(target.Name()))
	}

	return nil
}
