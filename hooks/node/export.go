package node

import (
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"praefect/hooks/node/git"
	"praefect/proxy/gitalypb"
)

// CreateBundle implements gitalypb.RepositoryServiceServer.
func (s *repositoryService) CreateBundle(
	request *gitalypb.CreateBundleRequest,
	stream grpc.ServerStreamingServer[gitalypb.CreateBundleResponse],
) error {
	repo, err := s.node.find(request.GetRepository())
	if err != nil {
		return err
	}
	err = s.node.git.Run(stream.Context(), git.Command{
		Repository: repo.path, Args: []string{"bundle", "create", "--quiet", "-", "--all"},
		Stdout: streamWriter(func(data []byte) error {
			return stream.Send(&gitalypb.CreateBundleResponse{Data: data})
		}),
	})
	if err != nil {
		return fmt.Errorf("create bundle: %w", err)
	}

	return nil
}

// GetArchive implements gitalypb.RepositoryServiceServer, without the content of large files kept
// elsewhere.
func (s *repositoryService) GetArchive(
	request *gitalypb.GetArchiveRequest,
	stream grpc.ServerStreamingServer[gitalypb.GetArchiveResponse],
) error {
	repo, err := s.node.find(request.GetRepository())
	if err != nil {
		return err
	}
	format, ok := map[gitalypb.GetArchiveRequest_Format]string{
		gitalypb.GetArchiveRequest_ZIP:    "zip",
		gitalypb.GetArchiveRequest_TAR:    "tar",
		gitalypb.GetArchiveRequest_TAR_GZ: "tar.gz",
	}[request.GetFormat()]
	if !ok || len(request.GetExclude()) > 0 || request.GetElidePath() {
		return failf(codes.Unimplemented, "archives of this kind are not supported")
	}
	ctx := stream.Context()
	tree, err := s.node.resolve(ctx, repo.path, request.GetCommitId()+"^{tree}")
	if err != nil {
		return err
	}
	args := []string{"archive", "--format=" + format}
	if prefix := strings.TrimSuffix(request.GetPrefix(), "/"); prefix != "" {
		args = append(args, "--prefix="+prefix+"/")
	}
	args = append(args, tree)
	if path := string(request.GetPath()); path != "" {
		args = append(args, "--", path)
	}
	err = s.node.git.Run(ctx, git.Command{
		Repository: repo.path, Args: args,
		Stdout: streamWriter(func(data []byte) error {
			return stream.Send(&gitalypb.GetArchiveResponse{Data: data})
		}),
	})
	if err != nil {
		return fmt.Errorf("create archive: %w", err)
	}

	return nil
}
