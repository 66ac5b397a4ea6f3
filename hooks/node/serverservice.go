package node

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"praefect/hooks/node/disk"
	"praefect/proxy/gitalypb"
)

// serverService tells about this node.
type serverService struct {
	gitalypb.UnimplementedServerServiceServer

	node *Node
}

// serverVersion is what this node calls itself.
const serverVersion = "praefect-node"

// ServerInfo implements gitalypb.ServerServiceServer.
func (s *serverService) ServerInfo(
	ctx context.Context, _ *gitalypb.ServerInfoRequest,
) (*gitalypb.ServerInfoResponse, error) {
	version, err := s.node.git.Version(ctx)
	if err != nil {
		return nil, err
	}
	id, err := s.node.disk.ID(rand.Text)
	if err != nil {
		return nil, err
	}

	return &gitalypb.ServerInfoResponse{
		ServerVersion: serverVersion,
		GitVersion:    version,
		StorageStatuses: []*gitalypb.ServerInfoResponse_StorageStatus{{
			StorageName:       s.node.cfg.Storage,
			Readable:          s.node.readable(),
			Writeable:         s.node.writable(),
			FilesystemId:      id,
			ReplicationFactor: 1,
		}},
	}, nil
}

func (n *Node) readable() bool {
	dir, err := os.Open(n.disk.Root())
	if err != nil {
		n.log.Warn("storage is not readable", zap.Error(err))

		return false
	}
	_ = dir.Close() // It was opened to see whether that works.

	return true
}

func (n *Node) writable() bool {
	_, remove, err := n.disk.Stage()
	if err == nil {
		err = remove()
	}
	if err != nil {
		n.log.Warn("storage is not writable", zap.Error(err))
	}

	return err == nil
}

// DiskStatistics implements gitalypb.ServerServiceServer.
func (s *serverService) DiskStatistics(
	context.Context, *gitalypb.DiskStatisticsRequest,
) (*gitalypb.DiskStatisticsResponse, error) {
	available, used, err := s.node.disk.Space()
	if err != nil {
		return nil, err
	}

	return &gitalypb.DiskStatisticsResponse{
		StorageStatuses: []*gitalypb.DiskStatisticsResponse_StorageStatus{{
			StorageName: s.node.cfg.Storage, Available: available, Used: used,
		}},
	}, nil
}

// internalGitaly walks the storage.
type internalGitaly struct {
	gitalypb.UnimplementedInternalGitalyServer

	node *Node
}

// WalkRepos implements gitalypb.InternalGitalyServer.
func (s *internalGitaly) WalkRepos(
	request *gitalypb.WalkReposRequest,
	stream grpc.ServerStreamingServer[gitalypb.WalkReposResponse],
) error {
	if err := s.node.checkStorage(request.GetStorageName()); err != nil {
		return err
	}

	return s.node.disk.Walk(stream.Context(), func(found disk.Found) error {
		err := stream.Send(&gitalypb.WalkReposResponse{
			RelativePath: found.Relative, ModificationTime: timestamppb.New(found.Modified),
		})
		if err != nil {
			return fmt.Errorf("send repository: %w", err)
		}

		return nil
	})
}
