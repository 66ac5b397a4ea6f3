package proxy_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"praefect/proxy/gitalypb"
)

const (
	storePools = "/gitaly.InternalGitaly/StorePoolMetadata"
	backup     = "/gitaly.RepositoryService/BackupRepository"
)

// pools are what nodes were told to store.
type pools struct {
	mu   sync.Mutex // guards told
	told map[string][]*gitalypb.StorePoolMetadataRequest
}

// store takes what a client streams to the end.
func (p *pools) store(v *visit) error {
	var all []*gitalypb.StorePoolMetadataRequest
	for {
		request := &gitalypb.StorePoolMetadataRequest{}
		err := v.RecvMsg(request)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		all = append(all, request)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told[v.node.storage] = all
	v.SetTrailer(metadata.Pairs("from", v.node.storage))
	return v.SendMsg(&gitalypb.StorePoolMetadataResponse{})
}

// members is a request of three messages.
func members(storage string) []*gitalypb.StorePoolMetadataRequest {
	return []*gitalypb.StorePoolMetadataRequest{
		{StorageName: storage, RelativePath: "a", PoolDiskPath: "p", IsUpstream: true},
		{StorageName: virtualStorage, RelativePath: "b", PoolDiskPath: "p"},
		{RelativePath: "c", PoolDiskPath: "p"},
	}
}

func (c *cluster) storePools(ctx context.Context) (result, metadata.MD) {
	c.t.Helper()
	stream, err := gitalypb.NewInternalGitalyClient(c.client).StorePoolMetadata(ctx)
	require.NoError(c.t, err)
	for _, message := range members(virtualStorage) {
		require.NoError(c.t, stream.Send(message))
	}
	_, err = stream.CloseAndRecv()
	return concluded(err, stream.Trailer()), stream.Trailer()
}

// TestWriteOfAStorage gives every healthy node all that the client sends. Nodes take the storage
// from the first message alone.
func TestWriteOfAStorage(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	told := &pools{told: map[string][]*gitalypb.StorePoolMetadataRequest{}}
	c.onAll(storePools, told.store)
	c.sick.Store("node-2", struct{}{})
	r, trailer := c.storePools(metadata.AppendToOutgoingContext(t.Context(), "user_id", "7"))
	require.NoError(t, r.err)
	require.Equal(t, "recorded", r.outcome)
	require.Equal(t, []string{"node-1"}, trailer.Get("from"), "the first one's answer")
	require.Empty(t, cmp.Diff(map[string][]*gitalypb.StorePoolMetadataRequest{
		"node-1": members("node-1"), "node-3": members("node-3"),
	}, told.told, protocmp.Transform()))
	for _, storage := range []string{"node-1", "node-3"} {
		seen := c.named(storage).metadata()
		require.Equal(t, []string{"7"}, seen.Get("user_id"))
		require.Empty(t, seen.Get("gitaly-reference-transaction"))
	}
}

// TestWriteOfAStorageFails names the storages that failed and keeps clients from trying again
// by themselves when others are done.
func TestWriteOfAStorageFails(t *testing.T) {
	t.Parallel()
	refuse := func(code codes.Code) script {
		return func(*visit) error { return status.Error(code, "no store") }
	}
	for name, tc := range map[string]struct {
		fail    func(*cluster)
		code    codes.Code
		text    string
		outcome string
	}{
		"one refuses": {
			fail: func(c *cluster) { c.nodes[1].on(storePools, refuse(codes.FailedPrecondition)) },
			code: codes.FailedPrecondition, outcome: "partial",
			text: `1 of 3 storages failed: "node-2": no store`,
		},
		"one is unavailable": {
			fail: func(c *cluster) { c.nodes[0].on(storePools, unavailable) },
			code: codes.Internal, outcome: "partial",
			text: `1 of 3 storages failed: "node-1": going down`,
		},
		"all refuse": {
			fail: func(c *cluster) { c.onAll(storePools, refuse(codes.InvalidArgument)) },
			code: codes.InvalidArgument, outcome: "unknown",
			text: `3 of 3 storages failed: "node-1": no store; "node-2": no store; ` +
				`"node-3": no store`,
		},
		"none is healthy": {
			fail: func(c *cluster) {
				for _, n := range c.nodes {
					c.sick.Store(n.storage, struct{}{})
				}
			},
			code: codes.Unavailable, outcome: "none",
			text: `route write of "default": no healthy nodes`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			told := &pools{told: map[string][]*gitalypb.StorePoolMetadataRequest{}}
			c.onAll(storePools, told.store)
			tc.fail(c)
			r, _ := c.storePools(t.Context())
			require.Equal(t, tc.code, status.Code(r.err), r.err)
			require.Equal(t, tc.text, status.Convert(r.err).Message())
			require.Equal(t, tc.outcome, r.outcome)
		})
	}
}

// TestWriteOfAStorageIsGivenWhole lets no node see a request that its client has not ended: it
// would replace all that it knows by a part.
func TestWriteOfAStorageIsGivenWhole(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.onAll(storePools, (&pools{told: map[string][]*gitalypb.StorePoolMetadataRequest{}}).store)
	ctx, leave := context.WithCancel(t.Context())
	stream, err := gitalypb.NewInternalGitalyClient(c.client).StorePoolMetadata(ctx)
	require.NoError(t, err)
	for _, message := range members(virtualStorage) {
		require.NoError(t, stream.Send(message))
	}
	leave()
	err = stream.RecvMsg(&gitalypb.StorePoolMetadataResponse{})
	require.Equal(t, codes.Canceled, status.Code(err))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, c.server.Stop(ctx), "the handler has ended")
	for _, n := range c.nodes {
		require.Zero(t, n.called(storePools))
	}
}

// TestBackupOfAnUnknownRepository lets a node say in its own words that there is none.
func TestBackupOfAnUnknownRepository(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	asked := make(chan *gitalypb.BackupRepositoryRequest, 1)
	c.onAll(backup, func(v *visit) error {
		var request gitalypb.BackupRepositoryRequest
		if err := v.RecvMsg(&request); err != nil {
			return err
		}
		asked <- &request
		skipped, err := status.New(codes.FailedPrecondition, "skipped").
			WithDetails(&gitalypb.BackupRepositoryResponse_SkippedError{})
		return errors.Join(skipped.Err(), err)
	})
	c.nodes[0].on(backup, unavailable)
	for path, onDisk := range map[string]string{"none": "none", relativePath: c.replicaPath} {
		_, err := gitalypb.NewRepositoryServiceClient(c.client).BackupRepository(t.Context(),
			&gitalypb.BackupRepositoryRequest{
				Repository:       repository(virtualStorage, path),
				VanityRepository: repository("vanity", "vanity.git"), BackupId: "id",
			}, grpc.WaitForReady(true))
		require.Equal(t, codes.FailedPrecondition, status.Code(err))
		require.Len(t, status.Convert(err).Details(), 1)
		request := <-asked
		require.Equal(t, onDisk, request.GetRepository().GetRelativePath())
		require.Contains(t, []string{"node-2", "node-3"}, request.GetRepository().GetStorageName())
		require.Empty(t, cmp.Diff(repository("vanity", "vanity.git"),
			request.GetVanityRepository(), protocmp.Transform()))
	}
}
