package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/grpc/codes"

	"praefect/hooks"
	"praefect/hooks/node/disk"
	"praefect/proxy/gitalypb"
)

// objectPoolService manages repositories whose objects others borrow.
type objectPoolService struct {
	gitalypb.UnimplementedObjectPoolServiceServer

	node *Node
}

// DeleteObjectPool implements gitalypb.ObjectPoolServiceServer. It never votes; an absent pool is
// deleted already.
func (s *objectPoolService) DeleteObjectPool(
	ctx context.Context, request *gitalypb.DeleteObjectPoolRequest,
) (*gitalypb.DeleteObjectPoolResponse, error) {
	pool, err := s.node.locate(request.GetObjectPool().GetRepository())
	if err != nil {
		return nil, err
	}
	if disk.IsRepository(pool.path) || disk.IsRemains(pool.path) {
		if err := s.node.remove(ctx, participation{Voter: bystander{}}, pool); err != nil {
			return nil, fmt.Errorf("delete pool: %w", err)
		}
	}

	return &gitalypb.DeleteObjectPoolResponse{}, nil
}

// GetObjectPool implements gitalypb.ObjectPoolServiceServer.
func (s *objectPoolService) GetObjectPool(
	_ context.Context, request *gitalypb.GetObjectPoolRequest,
) (*gitalypb.GetObjectPoolResponse, error) {
	repo, err := s.node.find(request.GetRepository())
	if err != nil {
		return nil, err
	}
	pool, err := s.node.poolOf(repo)
	if err != nil {
		return nil, err
	}
	if pool == "" {
		return &gitalypb.GetObjectPoolResponse{}, nil
	}

	return &gitalypb.GetObjectPoolResponse{ObjectPool: &gitalypb.ObjectPool{
		Repository: &gitalypb.Repository{StorageName: s.node.cfg.Storage, RelativePath: pool},
	}}, nil
}

// LinkRepositoryToObjectPool implements gitalypb.ObjectPoolServiceServer.
func (s *objectPoolService) LinkRepositoryToObjectPool(
	ctx context.Context, request *gitalypb.LinkRepositoryToObjectPoolRequest,
) (*gitalypb.LinkRepositoryToObjectPoolResponse, error) {
	repo, err := s.node.find(request.GetRepository())
	if err != nil {
		return nil, err
	}
	pool, err := s.node.find(request.GetObjectPool().GetRepository())
	if err != nil {
		return nil, fmt.Errorf("find pool: %w", err)
	}
	if pool.path == repo.path {
		return nil, failf(codes.InvalidArgument, "a repository cannot be its own pool")
	}
	part, err := s.node.participate(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.node.link(ctx, part, repo, pool); err != nil {
		return nil, fmt.Errorf("link to pool: %w", err)
	}

	return &gitalypb.LinkRepositoryToObjectPoolResponse{}, nil
}

// alternates is the file in which a repository names the pool that it borrows from.
func alternates(repository string) string {
	return filepath.Join(repository, "objects", "info", "alternates")
}

// poolOf returns the relative path of the pool that a repository is linked to, or nothing.
func (n *Node) poolOf(repo repository) (string, error) {
	content, err := os.ReadFile(alternates(repo.path))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read alternates: %w", err)
	}

	for line := range strings.Lines(string(content)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if !filepath.IsAbs(line) {
			line = filepath.Join(repo.path, "objects", line)
		}
		relative, err := n.disk.Relative(filepath.Dir(line))
		if err != nil {
			return "", failf(codes.FailedPrecondition, "pool is not in this storage: %w", err)
		}

		return relative, nil
	}

	return "", nil
}

// link makes a repository borrow from a pool, with the votes for it.
func (n *Node) link(ctx context.Context, part participation, repo, pool repository) error {
	linked, err := n.poolOf(repo)
	switch {
	case err != nil:
		return err
	case linked == pool.relative:
		if err := part.Vote(ctx, hooks.Synchronized, hooks.AlreadyLinked()); err != nil {
			return failf(refusalCode(err), "vote on linked repository: %w", err)
		}

		return nil
	case linked != "":
		return failf(codes.FailedPrecondition, "repository is linked to another pool: %q", linked)
	}

	content, err := borrowing(repo.path, pool.path)
	if err != nil {
		return err
	}

	return n.replaceFile(ctx, part, alternates(repo.path), content)
}

// borrowing is what the file alternates says in a repository that borrows from a pool. The path is
// relative, so that a storage can be moved.
func borrowing(repository, pool string) ([]byte, error) {
	relative, err := filepath.Rel(
		filepath.Join(repository, "objects"), filepath.Join(pool, "objects"))
	if err != nil {
		return nil, fmt.Errorf("path to pool: %w", err)
	}

	return []byte(filepath.ToSlash(relative) + "\n"), nil
}

// replaceFile puts content in place of a file under its lock, with the votes for it.
func (n *Node) replaceFile(
	ctx context.Context, part participation, path string, content []byte,
) error {
	if err := part.Vote(ctx, hooks.Preparing, hooks.LockingFile()); err != nil {
		return failf(refusalCode(err), "voting on locked file: preimage vote: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("create directory: %w", err)
	}
	file, err := n.disk.LockFile(path)
	if err != nil {
		return err
	}

	hash := hooks.Sum(content)
	err = file.Write(content)
	if err == nil {
		if err = part.Vote(ctx, hooks.Prepared, hash); err != nil {
			err = failf(refusalCode(err), "voting on locked file: %w", err)
		}
	}
	if err == nil {
		err = file.Commit()
	}
	if err != nil {
		return errors.Join(err, file.Abort())
	}
	if err := part.Vote(ctx, hooks.Committed, hash); err != nil {
		return failf(refusalCode(err), "postimage vote at committed phase: %w", err)
	}

	return nil
}
