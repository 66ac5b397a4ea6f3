package native

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"praefect/coordinator"
	"praefect/proxy/gitalypb"
)

type pools struct {
	gitalypb.UnimplementedObjectPoolServiceServer
	*Services
}

// GetObjectPool asks a node, and turns the path on its disk into the path that clients know.
func (s pools) GetObjectPool(
	ctx context.Context, request *gitalypb.GetObjectPoolRequest,
) (*gitalypb.GetObjectPoolResponse, error) {
	key, err := keyOf(request.GetRepository())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "repository not set")
	}
	answer, err := s.askPool(ctx, key)
	if err != nil {
		return nil, err
	}
	pool := answer.GetObjectPool().GetRepository()
	if pool == nil {
		return &gitalypb.GetObjectPoolResponse{}, nil
	}
	clientPath, err := s.clientPath(ctx, pool.GetRelativePath())
	if err != nil {
		return nil, err
	}
	answer = proto.CloneOf(answer)
	answer.ObjectPool.Repository.StorageName = string(key.VirtualStorage)
	answer.ObjectPool.Repository.RelativePath = clientPath
	return answer, nil
}

// poolTries is how many replicas are asked for a pool.
const poolTries = 3

// askPool asks one replica after the other until one is there to answer.
func (s pools) askPool(
	ctx context.Context, key coordinator.Key,
) (*gitalypb.GetObjectPoolResponse, error) {
	var tried []coordinator.Storage
	var failed error
	for range poolTries {
		route, err := s.Router.Read(ctx, key, coordinator.ReadOptions{Exclude: tried})
		switch {
		case err != nil && failed != nil:
			return nil, failed
		case err != nil:
			return nil, fmt.Errorf("route RPC: %w", err)
		}
		answer, err := s.askReplica(ctx, key, route)
		if status.Code(err) != codes.Unavailable || ctx.Err() != nil {
			return answer, err
		}
		tried, failed = append(tried, route.Storage), err
	}
	return nil, failed
}

func (s pools) askReplica(
	ctx context.Context, key coordinator.Key, route coordinator.ReadRoute,
) (*gitalypb.GetObjectPoolResponse, error) {
	defer route.Done()
	conn, ok := s.Nodes.Conn(string(key.VirtualStorage), string(route.Storage))
	if !ok {
		return nil, status.Errorf(codes.Internal, "no connection to node %q/%q",
			key.VirtualStorage, route.Storage)
	}
	answer, err := gitalypb.NewObjectPoolServiceClient(conn).GetObjectPool(ctx,
		&gitalypb.GetObjectPoolRequest{Repository: &gitalypb.Repository{
			StorageName: string(route.Storage), RelativePath: route.ReplicaPath,
		}})
	if err != nil {
		return nil, fmt.Errorf("get object pool: %w", err)
	}
	return answer, nil
}

// clientPath is the path of a pool that clients know. The path on disk ends with the repository's
// id unless the repository is older than the cluster.
func (s pools) clientPath(ctx context.Context, replicaPath string) (string, error) {
	if !coordinator.IsPoolReplicaPath(replicaPath) {
		return replicaPath, nil
	}
	id, err := strconv.ParseInt(path.Base(replicaPath), 10, 64)
	if err != nil {
		return "", status.Errorf(codes.Internal, "parsing repository ID: %v", err)
	}
	repo, err := s.Directory.ByID(ctx, coordinator.RepositoryID(id))
	if errors.Is(err, coordinator.ErrRepositoryNotFound) {
		// The repository that was asked for is there, so this must not say the contrary.
		return "", status.Errorf(codes.Internal,
			"get Praefect repository metadata: object pool %q is not known", replicaPath)
	}
	if err != nil {
		return "", fmt.Errorf("get Praefect repository metadata: %w", err)
	}
	return repo.Key.RelativePath, nil
}

// DeleteObjectPool removes a pool like a repository; one that is not there counts as deleted.
func (s pools) DeleteObjectPool(
	ctx context.Context, request *gitalypb.DeleteObjectPoolRequest,
) (*gitalypb.DeleteObjectPoolResponse, error) {
	repo := request.GetObjectPool().GetRepository()
	if repo == nil {
		return nil, status.Error(codes.InvalidArgument, "no object pool repository")
	}
	if !coordinator.IsPoolPath(repo.GetRelativePath()) {
		return nil, status.Error(codes.InvalidArgument, "invalid object pool directory")
	}
	key, err := keyOf(repo)
	if err != nil {
		return nil, err
	}
	err = s.remove(ctx, key)
	if err != nil && !errors.Is(err, coordinator.ErrRepositoryNotFound) {
		return nil, undeleted(err)
	}
	return &gitalypb.DeleteObjectPoolResponse{}, nil
}
