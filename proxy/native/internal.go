package native

import (
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/coordinator"
	"praefect/proxy/gitalypb"
)

type internal struct {
	gitalypb.UnimplementedInternalGitalyServer
	*Services
}

// WalkRepos lists the repositories of a virtual storage from the metadata, by the paths that
// clients use. Modification times are not known. One that is not configured has no repositories.
func (s internal) WalkRepos(
	request *gitalypb.WalkReposRequest,
	stream grpc.ServerStreamingServer[gitalypb.WalkReposResponse],
) error {
	virtualStorage := coordinator.VirtualStorage(request.GetStorageName())
	if virtualStorage == "" {
		return status.Error(codes.InvalidArgument, "storage name not set")
	}
	err := s.Directory.Walk(stream.Context(), virtualStorage, func(relativePath string) error {
		err := stream.Send(&gitalypb.WalkReposResponse{RelativePath: relativePath})
		if err != nil {
			return fmt.Errorf("send repository path: %w", err)
		}
		return nil
	})
	if err != nil && !errors.Is(err, coordinator.ErrUnknownVirtualStorage) {
		return fmt.Errorf("list repository paths: %w", err)
	}
	return nil
}
