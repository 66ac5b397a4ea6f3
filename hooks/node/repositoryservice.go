package node

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"

	"praefect/hooks"
	"praefect/hooks/node/disk"
	"praefect/proxy/gitalypb"
)

// repositoryService creates, removes and describes repositories.
type repositoryService struct {
	gitalypb.UnimplementedRepositoryServiceServer

	node *Node
}

// CreateRepository implements gitalypb.RepositoryServiceServer.
func (s *repositoryService) CreateRepository(
	ctx context.Context, request *gitalypb.CreateRepositoryRequest,
) (*gitalypb.CreateRepositoryResponse, error) {
	repo, err := s.node.locate(request.GetRepository())
	if err != nil {
		return nil, err
	}
	branch := string(request.GetDefaultBranch())
	if err := s.node.checkBranch(ctx, branch); err != nil {
		return nil, err
	}
	err = s.node.create(ctx, repo, creation{branch: branch, format: request.GetObjectFormat()})
	if err != nil {
		return nil, fmt.Errorf("create repository: %w", err)
	}

	return &gitalypb.CreateRepositoryResponse{}, nil
}

// RepositoryExists implements gitalypb.RepositoryServiceServer.
func (s *repositoryService) RepositoryExists(
	_ context.Context, request *gitalypb.RepositoryExistsRequest,
) (*gitalypb.RepositoryExistsResponse, error) {
	repo, err := s.node.locate(request.GetRepository())
	if err != nil {
		return nil, err
	}

	return &gitalypb.RepositoryExistsResponse{Exists: disk.IsRepository(repo.path)}, nil
}

// RemoveRepository implements gitalypb.RepositoryServiceServer.
func (s *repositoryService) RemoveRepository(
	ctx context.Context, request *gitalypb.RemoveRepositoryRequest,
) (*gitalypb.RemoveRepositoryResponse, error) {
	repo, err := s.node.locate(request.GetRepository())
	if err != nil {
		return nil, err
	}
	part, err := s.node.participate(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.node.remove(ctx, part, repo); err != nil {
		return nil, err
	}

	return &gitalypb.RemoveRepositoryResponse{}, nil
}

// remove takes a repository away, with the votes for it, and then removes it from the disk.
func (n *Node) remove(ctx context.Context, part participation, repo repository) error {
	if err := checkThere(repo); err != nil {
		return err
	}
	err := part.Vote(ctx, hooks.Preparing, hooks.Removing(repo.relative))
	if err != nil {
		return failf(codes.Internal, "vote on locking: %w", err)
	}

	unlock, err := n.disk.Lock(repo.relative)
	if err != nil {
		return err
	}
	defer unlock()
	if err := checkThere(repo); err != nil {
		return err
	}

	if err := part.Vote(ctx, hooks.Prepared, hooks.PreRemove(repo.relative)); err != nil {
		return failf(codes.Internal, "vote on rename: %w", err)
	}
	discard, err := n.disk.Remove(repo.path)
	if err != nil {
		return err
	}
	if err := part.Vote(ctx, hooks.Committed, hooks.PostRemove(repo.relative)); err != nil {
		err = failf(codes.Internal, "vote on finalizing: %w", err)

		return errors.Join(err, discard())
	}

	return discard()
}

// checkThere checks that there is something to remove, complete or not.
func checkThere(repo repository) error {
	if !disk.IsRepository(repo.path) && !disk.IsRemains(repo.path) {
		return failf(codes.NotFound, "repository does not exist")
	}

	return nil
}
