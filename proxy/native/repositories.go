package native

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/coordinator"
	"praefect/proxy/gitalypb"
	"praefect/proxy/replicate"
)

// removalWait is how long a client waits for its repository to leave the disks. Whatever is left
// then, a worker removes: clients are told of success once the repository is gone for everybody.
const removalWait = 10 * time.Second

type repositories struct {
	gitalypb.UnimplementedRepositoryServiceServer
	*Services
}

// RepositoryExists answers from the metadata; no node is asked.
func (s repositories) RepositoryExists(
	ctx context.Context, request *gitalypb.RepositoryExistsRequest,
) (*gitalypb.RepositoryExistsResponse, error) {
	key, err := keyOf(request.GetRepository())
	if err != nil {
		return nil, err
	}
	exists, err := s.Directory.Exists(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("repository exists: %w", err)
	}
	return &gitalypb.RepositoryExistsResponse{Exists: exists}, nil
}

// RemoveRepository makes the repository invisible, and then removes it from the disks.
func (s repositories) RemoveRepository(
	ctx context.Context, request *gitalypb.RemoveRepositoryRequest,
) (*gitalypb.RemoveRepositoryResponse, error) {
	key, err := keyOf(request.GetRepository())
	if err != nil {
		return nil, err
	}
	err = s.remove(ctx, key)
	switch {
	case errors.Is(err, coordinator.ErrRepositoryNotFound):
		return nil, status.Error(codes.NotFound, "repository does not exist")
	case err != nil:
		return nil, undeleted(err)
	}
	return &gitalypb.RemoveRepositoryResponse{}, nil
}

// undeleted is the error of a removal. What is wrong with the request is said as it is.
func undeleted(err error) error {
	if status.Code(err) == codes.InvalidArgument {
		return err
	}
	return fmt.Errorf("delete repository: %w", err)
}

// remove ends a repository. Once that is written nothing may stop it half-way, so the rest does
// not depend on the client any more.
func (s *Services) remove(ctx context.Context, key coordinator.Key) error {
	removal, err := s.Router.BeginRemoval(ctx, key)
	if errors.Is(err, coordinator.ErrUnknownVirtualStorage) {
		return status.Error(codes.InvalidArgument, "storage name not found")
	}
	if err != nil {
		return fmt.Errorf("begin removal: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removalWait)
	defer cancel()
	removed := s.clear(ctx, removal.Repository)
	if err := removal.Removed(ctx, removed); err != nil {
		s.log.Warn("removal left to the worker", zap.Object("repository", removal.Repository),
			zap.Error(err))
	}
	return nil
}

// clear removes the replicas from all disks at the same time and returns the storages where that
// has worked.
func (s *Services) clear(ctx context.Context, repo coordinator.Repository) []coordinator.Storage {
	var (
		mu      sync.Mutex // guards removed
		removed []coordinator.Storage
		nodes   sync.WaitGroup
	)
	for _, replica := range repo.Replicas {
		nodes.Go(func() {
			err := s.Disks.Remove(ctx, replicate.Replica{
				VirtualStorage: string(repo.Key.VirtualStorage),
				Storage:        string(replica.Storage),
				Path:           repo.ReplicaPath,
			})
			if err != nil {
				s.log.Info("replica left to the worker", zap.Object("repository", repo),
					zap.String("storage", string(replica.Storage)), zap.Error(err))
				return
			}
			mu.Lock()
			defer mu.Unlock()
			removed = append(removed, replica.Storage)
		})
	}
	nodes.Wait()
	return removed
}
