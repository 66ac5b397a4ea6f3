package native

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // UUIDs of version 5 are made with SHA-1
	"encoding/hex"
	"fmt"
	"math"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/proxy/backend"
	"praefect/proxy/gitalypb"
)

// nodeWait bounds the question to one node: clients ask for pages that people wait for.
const nodeWait = 5 * time.Second

type servers struct {
	gitalypb.UnimplementedServerServiceServer
	*Services
}

// ServerInfo shows each virtual storage as one storage. What it says of it comes from the first
// node that answers; a virtual storage without one is left out.
func (s servers) ServerInfo(
	ctx context.Context, _ *gitalypb.ServerInfoRequest,
) (*gitalypb.ServerInfoResponse, error) {
	groups := virtualStorages(s.Nodes.Nodes())
	infos := make([]*gitalypb.ServerInfoResponse, len(groups))
	states := make([]*gitalypb.ServerInfoResponse_StorageStatus, len(groups))
	var asking sync.WaitGroup
	for i, group := range groups {
		asking.Go(func() { infos[i], states[i] = s.askInfo(ctx, group) })
	}
	asking.Wait()
	answer := &gitalypb.ServerInfoResponse{}
	for i, group := range groups {
		info, state := infos[i], states[i]
		if state == nil {
			continue
		}
		if answer.GetServerVersion() == "" {
			answer.ServerVersion, answer.GitVersion = info.GetServerVersion(), info.GetGitVersion()
		}
		name := group[0].VirtualStorage
		shown := &gitalypb.ServerInfoResponse_StorageStatus{
			StorageName: name, Readable: state.GetReadable(), Writeable: state.GetWriteable(),
			FsType: state.GetFsType(), FilesystemId: state.GetFilesystemId(),
			ReplicationFactor: uint32(min(len(group), math.MaxInt32)),
		}
		if len(group) > 1 {
			shown.FilesystemId = filesystemID(name)
		}
		answer.StorageStatuses = append(answer.StorageStatuses, shown)
	}
	return answer, nil
}

// askInfo asks the nodes of a virtual storage in turn until one tells of its storage.
func (s servers) askInfo(
	ctx context.Context, group []backend.Node,
) (*gitalypb.ServerInfoResponse, *gitalypb.ServerInfoResponse_StorageStatus) {
	for _, n := range group {
		info, err := ask(ctx, s.Services, n, func(
			ctx context.Context, conn grpc.ClientConnInterface,
		) (*gitalypb.ServerInfoResponse, error) {
			return gitalypb.NewServerServiceClient(conn).ServerInfo(ctx,
				&gitalypb.ServerInfoRequest{})
		})
		if err != nil {
			s.log.Warn("node did not tell of itself", zap.Object("node", n), zap.Error(err))
			continue
		}
		for _, state := range info.GetStorageStatuses() {
			if state.GetStorageName() == n.Storage {
				return info, state
			}
		}
		s.log.Warn("node does not serve its storage", zap.Object("node", n))
	}
	return nil, nil
}

// DiskStatistics lists the storages of all nodes by their own names.
func (s servers) DiskStatistics(
	ctx context.Context, _ *gitalypb.DiskStatisticsRequest,
) (*gitalypb.DiskStatisticsResponse, error) {
	answer := &gitalypb.DiskStatisticsResponse{}
	for _, told := range askAll(ctx, s.Services, func(
		ctx context.Context, conn grpc.ClientConnInterface,
	) (*gitalypb.DiskStatisticsResponse, error) {
		return gitalypb.NewServerServiceClient(conn).DiskStatistics(ctx,
			&gitalypb.DiskStatisticsRequest{})
	}) {
		if told.err != nil {
			return nil, fmt.Errorf("request disk statistics from storage %q: %w",
				told.node.Storage, told.err)
		}
		answer.StorageStatuses = append(answer.StorageStatuses,
			told.answer.GetStorageStatuses()...)
	}
	return answer, nil
}

// ServerSignature returns the key with which all nodes sign; nodes with different keys are an
// error.
func (s servers) ServerSignature(
	ctx context.Context, _ *gitalypb.ServerSignatureRequest,
) (*gitalypb.ServerSignatureResponse, error) {
	var first *gitalypb.ServerSignatureResponse
	for _, told := range askAll(ctx, s.Services, func(
		ctx context.Context, conn grpc.ClientConnInterface,
	) (*gitalypb.ServerSignatureResponse, error) {
		return gitalypb.NewServerServiceClient(conn).ServerSignature(ctx,
			&gitalypb.ServerSignatureRequest{})
	}) {
		switch {
		case told.err != nil:
			return nil, fmt.Errorf("request signature from storage %q: %w",
				told.node.Storage, told.err)
		case first == nil:
			first = told.answer
		case !bytes.Equal(first.GetPublicKey(), told.answer.GetPublicKey()):
			return nil, status.Errorf(codes.FailedPrecondition,
				"signature mismatch with storage %q", told.node.Storage)
		}
	}
	return first, nil
}

// told is what one node says to a question.
type told[A any] struct {
	node   backend.Node
	answer A
	err    error
}

// askAll puts a question to all nodes at the same time and returns the answers in the order of the
// configuration, so that many that hang take no longer than one.
func askAll[A any](
	ctx context.Context, s *Services,
	question func(context.Context, grpc.ClientConnInterface) (A, error),
) []told[A] {
	nodes := s.Nodes.Nodes()
	all := make([]told[A], len(nodes))
	var asking sync.WaitGroup
	for i, n := range nodes {
		asking.Go(func() {
			answer, err := ask(ctx, s, n, question)
			all[i] = told[A]{node: n, answer: answer, err: err}
		})
	}
	asking.Wait()
	return all
}

// ask puts a question to one node within [nodeWait].
func ask[A any](
	ctx context.Context, s *Services, n backend.Node,
	question func(context.Context, grpc.ClientConnInterface) (A, error),
) (A, error) {
	conn, ok := s.Nodes.Conn(n.VirtualStorage, n.Storage)
	if !ok {
		var none A
		return none, status.Errorf(codes.Internal, "no connection to node %q/%q",
			n.VirtualStorage, n.Storage)
	}
	ctx, cancel := context.WithTimeout(ctx, nodeWait)
	defer cancel()
	return question(ctx, conn)
}

// virtualStorages groups nodes by virtual storage, in the order of the configuration.
func virtualStorages(nodes []backend.Node) [][]backend.Node {
	var groups [][]backend.Node
	index := map[string]int{}
	for _, n := range nodes {
		i, ok := index[n.VirtualStorage]
		if !ok {
			i = len(groups)
			index[n.VirtualStorage] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], n)
	}
	return groups
}

// filesystemID is the UUID of version 5 of the virtual storage's name: clients tell by it whether
// two storages share a disk, and no node's own id would be right for all.
func filesystemID(virtualStorage string) string {
	namespace := []byte{
		0x1e, 0xf1, 0xa8, 0xc6, 0xcf, 0x52, 0x4d, 0x0a,
		0x92, 0xa6, 0xca, 0x64, 0x3e, 0x8b, 0xc7, 0xc5,
	}
	sum := sha1.Sum(append(namespace, virtualStorage...)) //nolint:gosec // as above
	id := sum[:16]
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	text := hex.EncodeToString(id)
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}
