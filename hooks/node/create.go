package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/grpc/codes"

	"praefect/hooks"
	"praefect/hooks/node/disk"
	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
)

// creation says how a new repository begins.
type creation struct {
	branch string // where HEAD points; empty leaves it to Git
	format gitalypb.ObjectFormat
	// seed fills the new repository, which lies in dir until it is complete. It may be nil.
	seed func(ctx context.Context, dir string) error
	// pool is the path of a pool from which it borrows; empty when there is none.
	pool string
}

// create makes a repository beside its place, votes on what it has become, and moves it there.
func (n *Node) create(ctx context.Context, repo repository, c creation) error {
	part, err := n.participate(ctx)
	if err != nil {
		return err
	}
	if err := n.checkFree(repo); err != nil {
		return err
	}

	dir, remove, err := n.disk.Stage()
	if err != nil {
		return err
	}
	err = n.fill(ctx, dir, c)
	if err == nil {
		err = n.place(ctx, part, placement{from: dir, to: repo, pool: c.pool})
	}

	return errors.Join(err, remove())
}

func (n *Node) checkFree(repo repository) error {
	if disk.IsRepository(repo.path) {
		return fmt.Errorf("repository %w", disk.ErrExists)
	}
	if n.disk.Nested(repo.path) {
		return failf(codes.InvalidArgument, "repository path leads into another repository")
	}

	return nil
}

// fill makes a complete repository in an empty directory.
func (n *Node) fill(ctx context.Context, dir string, c creation) error {
	args := []string{"init", "--quiet", "--bare", "--template="}
	if c.branch != "" {
		args = append(args, "--initial-branch="+c.branch)
	}
	switch c.format {
	case gitalypb.ObjectFormat_OBJECT_FORMAT_SHA256:
		args = append(args, "--object-format=sha256")
	case gitalypb.ObjectFormat_OBJECT_FORMAT_UNSPECIFIED, gitalypb.ObjectFormat_OBJECT_FORMAT_SHA1:
		args = append(args, "--object-format=sha1")
	default:
		return failf(codes.InvalidArgument, "object format not known: %s", c.format)
	}
	if err := n.git.Run(ctx, git.Command{Args: append(args, dir)}); err != nil {
		return fmt.Errorf("initialise repository: %w", err)
	}

	if c.pool != "" {
		// Absolute as long as the repository is not in its place.
		borrowed := filepath.Join(c.pool, "objects") + "\n"
		if err := os.WriteFile(alternates(dir), []byte(borrowed), 0o644); err != nil {
			return fmt.Errorf("borrow from pool: %w", err)
		}
	}
	if c.seed != nil {
		if err := c.seed(ctx, dir); err != nil {
			return fmt.Errorf("seed repository: %w", err)
		}
	}

	return n.disk.SyncTree(dir)
}

// placement says where a complete repository goes.
type placement struct {
	from string
	to   repository
	pool string // the path of a pool from which it borrows, or empty
}

// place votes on a complete repository and moves it to its path.
func (n *Node) place(ctx context.Context, part participation, p placement) error {
	repo := p.to
	hash, err := n.creationBallot(ctx, p.from)
	if err != nil {
		return err
	}
	if err := n.borrow(p); err != nil {
		return err
	}
	if err := part.Vote(ctx, hooks.Preparing, hash); err != nil {
		return failf(codes.FailedPrecondition, "preparatory vote: %w", err)
	}

	unlock, err := n.disk.Lock(repo.relative)
	if err != nil {
		return err
	}
	defer unlock()
	if err := n.checkFree(repo); err != nil {
		return err
	}
	if err := part.Vote(ctx, hooks.Prepared, hash); err != nil {
		return failf(codes.FailedPrecondition, "preparatory vote: %w", err)
	}
	if err := n.disk.Place(p.from, repo.path); err != nil {
		return err
	}
	if err := part.Vote(ctx, hooks.Committed, hash); err != nil {
		return failf(codes.FailedPrecondition, "committing vote: %w", err)
	}

	return nil
}

// borrow makes a repository name its pool as it must from its place.
func (n *Node) borrow(p placement) error {
	if p.pool == "" {
		return nil
	}
	content, err := borrowing(p.to.path, p.pool)
	if err != nil {
		return err
	}
	file, err := n.disk.LockFile(alternates(p.from))
	if err != nil {
		return err
	}
	if err := file.Write(content); err != nil {
		return errors.Join(err, file.Abort())
	}

	return file.Commit()
}

// creationBallot is what nodes must agree on when a repository is created. New Git can list HEAD
// among the references; old Git is helped to the same bytes.
func (n *Node) creationBallot(ctx context.Context, dir string) (hooks.Hash, error) {
	config, err := n.git.Output(ctx, git.Command{
		Repository: dir, Args: []string{"config", "--list", "--file", dir + "/config"},
	})
	if err != nil {
		return hooks.Hash{}, fmt.Errorf("list configuration: %w", err)
	}

	references, err := n.git.Output(ctx, git.Command{
		Repository: dir,
		Args:       []string{"for-each-ref", "--format=%(refname) %(objectname) %(symref)"},
	})
	if err != nil {
		return hooks.Hash{}, fmt.Errorf("list references: %w", err)
	}

	head, err := n.head(ctx, dir)
	if err != nil {
		return hooks.Hash{}, err
	}
	if head.object != "" {
		line := fmt.Sprintf("HEAD %s %s\n", head.object, head.target)
		references = append([]byte(line), references...)
	}

	return hooks.Creation(config, references), nil
}

// optional returns the line that a command writes, or nothing if it says with its exit code 1 that
// there is nothing.
func (n *Node) optional(ctx context.Context, dir string, args ...string) (string, error) {
	output, err := n.git.Output(ctx, git.Command{Repository: dir, Args: args})
	var failed *git.Error
	if errors.As(err, &failed) && failed.Code == 1 {
		return "", nil
	}
	if err != nil {
		return "", err
	}

	return string(bytes.TrimSuffix(output, []byte("\n"))), nil
}

// checkBranch checks the name of a branch that a caller wants HEAD to point to.
func (n *Node) checkBranch(ctx context.Context, branch string) error {
	if branch == "" {
		return nil
	}
	if strings.HasPrefix(branch, "-") {
		return failf(codes.InvalidArgument, "invalid branch name: %q", branch)
	}
	err := n.git.Run(ctx, git.Command{Args: []string{"check-ref-format", "refs/heads/" + branch}})
	if _, ok := errors.AsType[*git.Error](err); ok {
		return failf(codes.InvalidArgument, "invalid branch name: %q", branch)
	}

	return err
}
