package native

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/coordinator"
	"praefect/proxy/gitalypb"
)

// keyOf reads the repository that a request names. The texts are those that clients know.
func keyOf(repo *gitalypb.Repository) (coordinator.Key, error) {
	key := coordinator.Key{
		VirtualStorage: coordinator.VirtualStorage(repo.GetStorageName()),
		RelativePath:   repo.GetRelativePath(),
	}
	switch {
	case key.VirtualStorage == "" && key.RelativePath == "":
		return key, status.Error(codes.InvalidArgument, "repository not set")
	case key.VirtualStorage == "":
		return key, status.Error(codes.InvalidArgument, "storage name not set")
	case key.RelativePath == "":
		return key, status.Error(codes.InvalidArgument, "repository path not set")
	}
	return key, nil
}
