package native

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/coordinator"
	"praefect/proxy/gitalypb"
)

// RepositoryReplicas asks the primary and each other assigned node for the checksum of its replica,
// all at the same time.
func (s info) RepositoryReplicas(
	ctx context.Context, request *gitalypb.RepositoryReplicasRequest,
) (*gitalypb.RepositoryReplicasResponse, error) {
	key, err := keyOf(request.GetRepository())
	if err != nil {
		return nil, err
	}
	found, err := s.Operations.Describe(ctx, key)
	switch {
	case errors.Is(err, coordinator.ErrRepositoryNotFound),
		errors.Is(err, coordinator.ErrUnknownVirtualStorage):
		return nil, status.Error(codes.Internal, "get repository id: repository not found")
	case err != nil:
		return nil, fmt.Errorf("get repository id: %w", err)
	}
	storages, err := assigned(found)
	if err != nil {
		return nil, err
	}
	details := make([]*gitalypb.RepositoryReplicasResponse_RepositoryDetails, len(storages))
	group, ctx := errgroup.WithContext(ctx)
	for i, storage := range storages {
		group.Go(func() error {
			checksum, err := s.checksum(ctx, found, storage)
			details[i] = &gitalypb.RepositoryReplicasResponse_RepositoryDetails{
				Repository: &gitalypb.Repository{
					StorageName: string(storage), RelativePath: key.RelativePath,
				},
				Checksum: checksum,
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err //nolint:wrapcheck // It says which node failed.
	}
	return &gitalypb.RepositoryReplicasResponse{Primary: details[0], Replicas: details[1:]}, nil
}

// assigned lists the storages to ask, the primary first.
func assigned(found coordinator.Condition) ([]coordinator.Storage, error) {
	storages := []coordinator.Storage{found.Primary}
	leads := false
	for _, replica := range found.Replicas {
		switch {
		case !replica.Assigned:
		case replica.Storage == found.Primary:
			leads = true
		default:
			storages = append(storages, replica.Storage)
		}
	}
	if !leads {
		return nil, status.Errorf(codes.Internal, "primary %q is not an assigned host",
			found.Primary)
	}
	return storages, nil
}

func (s info) checksum(
	ctx context.Context, found coordinator.Condition, storage coordinator.Storage,
) (string, error) {
	conn, ok := s.Nodes.Conn(string(found.Key.VirtualStorage), string(storage))
	if !ok {
		return "", status.Errorf(codes.Internal, "no connection to %q/%q",
			found.Key.VirtualStorage, storage)
	}
	answer, err := gitalypb.NewRepositoryServiceClient(conn).CalculateChecksum(ctx,
		&gitalypb.CalculateChecksumRequest{Repository: &gitalypb.Repository{
			StorageName: string(storage), RelativePath: found.ReplicaPath,
		}})
	if err != nil {
		return "", fmt.Errorf("checksum on %q: %w", storage, err)
	}
	return answer.GetChecksum(), nil
}
