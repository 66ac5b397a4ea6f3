package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"praefect/hooks/node/disk"
	"praefect/proxy/gitalypb"
)

// poolsFile is where the node keeps what it was told of pools.
const poolsFile = "pools"

// poolRecord is what a node was told of one pool. The paths are those that clients know, which the
// node cannot find out by itself.
type poolRecord struct {
	Upstream string   `json:"upstream,omitempty"`
	Members  []string `json:"members"`
}

// ScanPoolMetadata implements gitalypb.InternalGitalyServer. It tells the repositories that borrow
// from a pool, by what is on the disk. A pool that is missing is logged and left out.
func (s *internalGitaly) ScanPoolMetadata(
	request *gitalypb.ScanPoolMetadataRequest,
	stream grpc.ServerStreamingServer[gitalypb.ScanPoolMetadataResponse],
) error {
	if err := s.node.checkStorage(request.GetStorageName()); err != nil {
		return err
	}

	return s.node.disk.Walk(stream.Context(), func(found disk.Found) error {
		pool, err := s.node.borrowsFrom(found.Relative)
		if err != nil || pool == "" {
			return err
		}
		err = stream.Send(&gitalypb.ScanPoolMetadataResponse{
			RelativePath: found.Relative, PoolDiskPath: pool,
		})
		if err != nil {
			return fmt.Errorf("send member of pool: %w", err)
		}

		return nil
	})
}

// borrowsFrom returns the pool of a repository if it has one that is there.
func (n *Node) borrowsFrom(relative string) (string, error) {
	path, err := n.disk.Path(relative)
	if err != nil {
		return "", fmt.Errorf("locate repository: %w", err)
	}
	pool, err := n.poolOf(repository{relative: relative, path: path})
	if err != nil {
		n.log.Warn("pool of repository left out", zap.String("relative_path", relative),
			zap.Error(err))

		return "", nil
	}
	if pool == "" {
		return "", nil
	}
	path, err = n.disk.Path(pool)
	if err != nil {
		return "", fmt.Errorf("locate pool: %w", err)
	}
	if !disk.IsRepository(path) {
		n.log.Warn("pool of repository is missing", zap.String("relative_path", relative),
			zap.String("pool_path", pool))

		return "", nil
	}

	return pool, nil
}

// StorePoolMetadata implements gitalypb.InternalGitalyServer. What the stream tells replaces what
// was kept before, when the stream has ended well.
func (s *internalGitaly) StorePoolMetadata(
	stream grpc.ClientStreamingServer[
		gitalypb.StorePoolMetadataRequest, gitalypb.StorePoolMetadataResponse],
) error {
	request, err := stream.Recv()
	if err != nil && !errors.Is(err, io.EOF) {
		return err //nolint:wrapcheck // a status already
	}
	if err := s.node.checkStorage(request.GetStorageName()); err != nil {
		return err
	}
	pools := map[string]poolRecord{}
	for ; err == nil; request, err = stream.Recv() {
		member, pool := request.GetRelativePath(), request.GetPoolDiskPath()
		record := pools[pool]
		record.Members = append(record.Members, member)
		if request.GetIsUpstream() {
			record.Upstream = member
		}
		pools[pool] = record
	}
	if !errors.Is(err, io.EOF) {
		return err //nolint:wrapcheck // as above
	}
	if err := s.node.keepPools(pools); err != nil {
		return err
	}

	return stream.SendAndClose(&gitalypb.StorePoolMetadataResponse{}) //nolint:wrapcheck // as above
}

// ListPoolMetadata implements gitalypb.InternalGitalyServer: the pools that the node was told of.
func (s *internalGitaly) ListPoolMetadata(
	request *gitalypb.ListPoolMetadataRequest,
	stream grpc.ServerStreamingServer[gitalypb.ListPoolMetadataResponse],
) error {
	if err := s.node.checkStorage(request.GetStorageName()); err != nil {
		return err
	}
	pools, err := s.node.keptPools()
	if err != nil {
		return err
	}
	for pool := range pools {
		if err := stream.Send(&gitalypb.ListPoolMetadataResponse{PoolDiskPath: pool}); err != nil {
			return fmt.Errorf("send pool: %w", err)
		}
	}

	return nil
}

// ListPoolUpstreams implements gitalypb.InternalGitalyServer. Other nodes ask the application,
// which this one does not have: it tells the upstreams that it was told. The application knows
// storages by the names that clients use, so any name is good.
func (s *internalGitaly) ListPoolUpstreams(
	stream grpc.BidiStreamingServer[
		gitalypb.ListPoolUpstreamsRequest, gitalypb.ListPoolUpstreamsResponse],
) error {
	pools, err := s.node.keptPools()
	if err != nil {
		return err
	}
	request, err := stream.Recv()
	if err == nil && request.GetStorageName() == "" {
		return failf(codes.InvalidArgument, "storage name not set")
	}
	upstreams := map[string]string{}
	for ; err == nil; request, err = stream.Recv() {
		for _, pool := range request.GetPoolDiskPaths() {
			if upstream := pools[pool].Upstream; upstream != "" {
				upstreams[pool] = upstream
			}
		}
	}
	if !errors.Is(err, io.EOF) {
		return err //nolint:wrapcheck // a status already
	}
	if err := stream.Send(&gitalypb.ListPoolUpstreamsResponse{Upstreams: upstreams}); err != nil {
		return fmt.Errorf("send upstreams: %w", err)
	}

	return nil
}

func (n *Node) keepPools(pools map[string]poolRecord) error {
	content, err := json.MarshalIndent(pools, "", "  ")
	if err != nil {
		return fmt.Errorf("encode pools: %w", err)
	}
	if err := n.disk.Keep(poolsFile, append(content, '\n')); err != nil {
		return fmt.Errorf("keep pools: %w", err)
	}

	return nil
}

func (n *Node) keptPools() (map[string]poolRecord, error) {
	content, err := os.ReadFile(n.disk.Own(poolsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // There are none.
	}
	if err != nil {
		return nil, fmt.Errorf("read pools: %w", err)
	}
	var pools map[string]poolRecord
	if err := json.Unmarshal(content, &pools); err != nil {
		return nil, fmt.Errorf("decode pools: %w", err)
	}

	return pools, nil
}
