package native

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"praefect/coordinator"
	"praefect/proxy/gitalypb"
)

// lossesBytes is how large a message of the list of losses may become before it is sent.
const lossesBytes = 1 << 20

// Operations is what operators ask and change. The coordinator implements it.
type Operations interface {
	Describe(ctx context.Context, key coordinator.Key) (coordinator.Condition, error)
	DescribeByID(ctx context.Context, id coordinator.RepositoryID) (coordinator.Condition, error)
	Losses(ctx context.Context, virtualStorage coordinator.VirtualStorage,
		visit func(coordinator.Condition) error) error
	Accept(ctx context.Context, key coordinator.Key, storage coordinator.Storage,
		absent bool) error
	SetReplicationFactor(ctx context.Context, key coordinator.Key, factor int,
	) ([]coordinator.Storage, error)
	Unverify(ctx context.Context, selection coordinator.Selection) (int64, error)
}

// info answers PraefectInfoService. Codes and texts are those that the command line and scripts
// know.
type info struct {
	gitalypb.UnimplementedPraefectInfoServiceServer
	*Services
}

// GetRepositoryMetadata tells what is recorded about a repository.
func (s info) GetRepositoryMetadata(
	ctx context.Context, request *gitalypb.GetRepositoryMetadataRequest,
) (*gitalypb.GetRepositoryMetadataResponse, error) {
	var (
		found coordinator.Condition
		err   error
	)
	switch query := request.GetQuery().(type) {
	case *gitalypb.GetRepositoryMetadataRequest_RepositoryId:
		found, err = s.Operations.DescribeByID(ctx, coordinator.RepositoryID(query.RepositoryId))
	case *gitalypb.GetRepositoryMetadataRequest_Path_:
		found, err = s.Operations.Describe(ctx, coordinator.Key{
			VirtualStorage: coordinator.VirtualStorage(query.Path.GetVirtualStorage()),
			RelativePath:   query.Path.GetRelativePath(),
		})
	default:
		return nil, status.Errorf(codes.Internal, "unknown query type: %v", query)
	}
	switch {
	case errors.Is(err, coordinator.ErrRepositoryNotFound),
		errors.Is(err, coordinator.ErrUnknownVirtualStorage):
		return nil, status.Error(codes.NotFound, "repository not found")
	case err != nil:
		return nil, failed("get metadata", err)
	}
	return metadataOf(found), nil
}

func metadataOf(found coordinator.Condition) *gitalypb.GetRepositoryMetadataResponse {
	answer := &gitalypb.GetRepositoryMetadataResponse{
		RepositoryId:   int64(found.ID),
		VirtualStorage: string(found.Key.VirtualStorage),
		RelativePath:   found.Key.RelativePath,
		ReplicaPath:    found.ReplicaPath,
		Primary:        string(found.Leader()),
		Generation:     int64(found.Generation),
	}
	for _, replica := range found.Replicas {
		known := &gitalypb.GetRepositoryMetadataResponse_Replica{
			Storage:      string(replica.Storage),
			Assigned:     replica.Assigned,
			Generation:   int64(replica.Generation),
			Healthy:      replica.Healthy,
			ValidPrimary: replica.ValidPrimary,
		}
		if !replica.VerifiedAt.IsZero() {
			known.VerifiedAt = timestamppb.New(replica.VerifiedAt)
		}
		answer.Replicas = append(answer.Replicas, known)
	}
	return answer
}

// Dataloss streams the repositories that no replica can lead, and if asked for also those that are
// not available on all assigned storages.
func (s info) Dataloss(
	request *gitalypb.DatalossRequest,
	stream grpc.ServerStreamingServer[gitalypb.DatalossResponse],
) error {
	batch, size := &gitalypb.DatalossResponse{}, 0
	flush := func() error {
		if len(batch.GetRepositories()) == 0 {
			return nil
		}
		if err := stream.Send(batch); err != nil {
			return fmt.Errorf("send losses: %w", err)
		}
		batch, size = &gitalypb.DatalossResponse{}, 0
		return nil
	}
	err := s.Operations.Losses(stream.Context(),
		coordinator.VirtualStorage(request.GetVirtualStorage()),
		func(found coordinator.Condition) error {
			if found.Available() && !request.GetIncludePartiallyReplicated() {
				return nil
			}
			loss := lossOf(found)
			batch.Repositories = append(batch.Repositories, loss)
			if size += proto.Size(loss); size < lossesBytes {
				return nil
			}
			return flush()
		})
	switch {
	case errors.Is(err, coordinator.ErrUnknownVirtualStorage):
		return status.Errorf(codes.Internal, "unknown virtual storage: %q",
			request.GetVirtualStorage())
	case err != nil:
		return err
	}
	return flush()
}

func lossOf(found coordinator.Condition) *gitalypb.DatalossResponse_Repository {
	loss := &gitalypb.DatalossResponse_Repository{
		RelativePath: found.Key.RelativePath,
		Unavailable:  !found.Available(),
		Primary:      string(found.Leader()),
	}
	for _, replica := range found.Replicas {
		loss.Storages = append(loss.Storages, &gitalypb.DatalossResponse_Repository_Storage{
			Name:         string(replica.Storage),
			BehindBy:     int64(found.Generation - replica.Generation),
			Assigned:     replica.Assigned,
			Healthy:      replica.Healthy,
			ValidPrimary: replica.ValidPrimary,
		})
	}
	return loss
}

// SetAuthoritativeStorage makes one replica the only current one.
func (s info) SetAuthoritativeStorage(
	ctx context.Context, request *gitalypb.SetAuthoritativeStorageRequest,
) (*gitalypb.SetAuthoritativeStorageResponse, error) {
	key := coordinator.Key{
		VirtualStorage: coordinator.VirtualStorage(request.GetVirtualStorage()),
		RelativePath:   request.GetRelativePath(),
	}
	storage := coordinator.Storage(request.GetAuthoritativeStorage())
	err := s.accept(ctx, key, storage)
	switch {
	case errors.Is(err, coordinator.ErrUnknownVirtualStorage):
		return nil, status.Errorf(codes.InvalidArgument, "unknown virtual storage: %q",
			key.VirtualStorage)
	case errors.Is(err, coordinator.ErrUnknownStorage):
		return nil, status.Errorf(codes.InvalidArgument, "unknown authoritative storage: %q",
			storage)
	case errors.Is(err, coordinator.ErrRepositoryNotFound):
		return nil, status.Error(codes.InvalidArgument,
			"repository does not exist on virtual storage")
	case err != nil:
		return nil, err
	}
	return &gitalypb.SetAuthoritativeStorageResponse{}, nil
}

// accept asks the node first: a replica that is not there must not become the only one, and one
// that is there may count although the metadata do not know of it.
func (s info) accept(
	ctx context.Context, key coordinator.Key, storage coordinator.Storage,
) error {
	found, err := s.Operations.Describe(ctx, key)
	if err != nil {
		return err
	}
	exists, err := s.onDisk(ctx, found, storage)
	switch {
	case err == nil && !exists:
		return status.Errorf(codes.FailedPrecondition,
			"the repository is not on the disk of %q", storage)
	case status.Code(err) == codes.Unavailable, status.Code(err) == codes.DeadlineExceeded:
		exists = false // The metadata have to know of it.
	case err != nil:
		return fmt.Errorf("ask %q for the repository: %w", storage, err)
	}
	return s.Operations.Accept(ctx, key, storage, exists)
}

// onDisk asks a node. A storage that is not configured is left to the coordinator to name.
func (s info) onDisk(
	ctx context.Context, found coordinator.Condition, storage coordinator.Storage,
) (bool, error) {
	conn, ok := s.Nodes.Conn(string(found.Key.VirtualStorage), string(storage))
	if !ok {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, nodeWait)
	defer cancel()
	answer, err := gitalypb.NewRepositoryServiceClient(conn).RepositoryExists(ctx,
		&gitalypb.RepositoryExistsRequest{Repository: &gitalypb.Repository{
			StorageName: string(storage), RelativePath: found.ReplicaPath,
		}})
	if err != nil {
		return false, err
	}
	return answer.GetExists(), nil
}

// MarkUnverified has replicas verified as soon as possible.
func (s info) MarkUnverified(
	ctx context.Context, request *gitalypb.MarkUnverifiedRequest,
) (*gitalypb.MarkUnverifiedResponse, error) {
	var selected coordinator.Selection
	switch selector := request.GetSelector().(type) {
	case *gitalypb.MarkUnverifiedRequest_RepositoryId:
		selected.Repository = coordinator.RepositoryID(selector.RepositoryId)
	case *gitalypb.MarkUnverifiedRequest_VirtualStorage:
		selected.VirtualStorage = coordinator.VirtualStorage(selector.VirtualStorage)
	case *gitalypb.MarkUnverifiedRequest_Storage_:
		selected.VirtualStorage = coordinator.VirtualStorage(selector.Storage.GetVirtualStorage())
		selected.Storage = coordinator.Storage(selector.Storage.GetStorage())
	default:
		return nil, status.Errorf(codes.Internal, "unknown selector: %v", selector)
	}
	if selected == (coordinator.Selection{}) {
		return nil, status.Error(codes.InvalidArgument, "selector is empty")
	}
	marked, err := s.Operations.Unverify(ctx, selected)
	if err != nil {
		return nil, failed("schedule verification", err)
	}
	return &gitalypb.MarkUnverifiedResponse{ReplicasMarked: marked}, nil
}

// SetReplicationFactor assigns a repository to so many storages.
func (s info) SetReplicationFactor(
	ctx context.Context, request *gitalypb.SetReplicationFactorRequest,
) (*gitalypb.SetReplicationFactorResponse, error) {
	const prefix = "set replication factor: "
	key := coordinator.Key{
		VirtualStorage: coordinator.VirtualStorage(request.GetVirtualStorage()),
		RelativePath:   request.GetRelativePath(),
	}
	assigned, err := s.Operations.SetReplicationFactor(
		ctx, key, int(request.GetReplicationFactor()))
	var refused *coordinator.FactorError
	switch {
	case errors.Is(err, coordinator.ErrUnknownVirtualStorage):
		return nil, status.Errorf(codes.InvalidArgument, prefix+"virtual storage %q not found",
			key.VirtualStorage)
	case errors.Is(err, coordinator.ErrRepositoryNotFound):
		return nil, status.Errorf(codes.InvalidArgument, prefix+"repository %q/%q not found",
			key.VirtualStorage, key.RelativePath)
	case errors.As(err, &refused):
		return nil, status.Error(codes.InvalidArgument, prefix+refused.Error())
	case err != nil:
		return nil, fmt.Errorf(prefix+"%w", err)
	}
	answer := &gitalypb.SetReplicationFactorResponse{}
	for _, storage := range assigned {
		answer.Storages = append(answer.Storages, string(storage))
	}
	return answer, nil
}

// failed answers Internal, unless the cause says more.
func failed(doing string, err error) error {
	if errors.Is(err, coordinator.ErrMetadataUnavailable) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return status.Errorf(codes.Internal, "%s: %v", doing, err)
}
