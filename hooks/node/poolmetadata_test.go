package node_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/proxy/gitalypb"
)

// received reads a stream to its end.
func received[T any](stream grpc.ServerStreamingClient[T], err error) ([]*T, error) {
	var all []*T
	for err == nil {
		var one *T
		if one, err = stream.Recv(); err == nil {
			all = append(all, one)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}

	return all, err
}

func TestScanPoolMetadata(t *testing.T) {
	t.Parallel()
	r := start(t)
	client := gitalypb.NewInternalGitalyClient(r.conn)
	borrowing := func(path, from string) {
		r.create(t, path)
		info := filepath.Join(r.dir, path, "objects/info")
		require.NoError(t, os.MkdirAll(info, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(info, "alternates"), []byte(from), 0o600))
	}
	r.create(t, "pool.git")
	borrowing("relative.git", "../../pool.git/objects\n")
	borrowing("absolute.git", filepath.Join(r.dir, "pool.git/objects")+"\n")
	borrowing("commented.git", "# nothing\n\n")
	borrowing("broken.git", "../../missing.git/objects\n")
	borrowing("outside.git", "/elsewhere/objects\n")

	found, err := received(client.ScanPoolMetadata(t.Context(),
		&gitalypb.ScanPoolMetadataRequest{StorageName: storage}))
	require.NoError(t, err)
	var members []string
	for _, member := range found {
		require.Equal(t, "pool.git", member.GetPoolDiskPath())
		require.False(t, member.GetIsUpstream())
		members = append(members, member.GetRelativePath())
	}
	require.Equal(t, []string{"absolute.git", "relative.git"}, members)

	_, err = received(client.ScanPoolMetadata(t.Context(),
		&gitalypb.ScanPoolMetadataRequest{StorageName: "other"}))
	require.Equal(t, codes.InvalidArgument, status.Code(err))
}

// TestKeptPoolMetadata replaces what a node was told, and finds it again after a restart. Of a
// stream that breaks off nothing is kept.
func TestKeptPoolMetadata(t *testing.T) {
	t.Parallel()
	r := start(t)
	require.Empty(t, r.pools(t))
	r.storePools(t, codes.OK, kept("a.git", "1", true), kept("b.git", "1", false),
		kept("c.git", "2", false))
	require.ElementsMatch(t, []string{"1", "2"}, r.pools(t))
	require.Equal(t, map[string]string{"1": "a.git"}, r.upstreams(t, "default", "1", "2", "3"))

	r.stop()
	r.run(t)
	require.ElementsMatch(t, []string{"1", "2"}, r.pools(t))
	r.storePools(t, codes.OK, kept("c.git", "2", true))
	require.Equal(t, []string{"2"}, r.pools(t))
	require.Equal(t, map[string]string{"2": "c.git"}, r.upstreams(t, "other", "1", "2"))

	r.storePools(t, codes.InvalidArgument)
	wrong := kept("c.git", "2", false)
	wrong.StorageName = "other"
	r.storePools(t, codes.InvalidArgument, wrong)
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := gitalypb.NewInternalGitalyClient(r.conn).StorePoolMetadata(ctx)
	require.NoError(t, err)
	require.NoError(t, stream.Send(kept("d.git", "4", false)))
	cancel()
	require.Equal(t, codes.Canceled, status.Code(stream.RecvMsg(
		&gitalypb.StorePoolMetadataResponse{})))
	require.Equal(t, []string{"2"}, r.pools(t))
	require.Empty(t, r.upstreams(t, "default"))
}

func kept(path, pool string, upstream bool) *gitalypb.StorePoolMetadataRequest {
	return &gitalypb.StorePoolMetadataRequest{
		StorageName: storage, RelativePath: path, PoolDiskPath: pool, IsUpstream: upstream,
	}
}

// storePools tells the node of members, which has to answer with a code.
func (r *rig) storePools(
	t *testing.T, code codes.Code, members ...*gitalypb.StorePoolMetadataRequest,
) {
	t.Helper()
	stream, err := gitalypb.NewInternalGitalyClient(r.conn).StorePoolMetadata(t.Context())
	require.NoError(t, err)
	for _, member := range members {
		require.NoError(t, stream.Send(member))
	}
	_, err = stream.CloseAndRecv()
	require.Equal(t, code, status.Code(err), "%v", err)
}

// pools lists those that the node was told of.
func (r *rig) pools(t *testing.T) []string {
	t.Helper()
	found, err := received(gitalypb.NewInternalGitalyClient(r.conn).ListPoolMetadata(t.Context(),
		&gitalypb.ListPoolMetadataRequest{StorageName: storage}))
	require.NoError(t, err)
	var pools []string
	for _, pool := range found {
		pools = append(pools, pool.GetPoolDiskPath())
	}

	return pools
}

// upstreams asks for those of pools, in two messages.
func (r *rig) upstreams(t *testing.T, storage string, pools ...string) map[string]string {
	t.Helper()
	stream, err := gitalypb.NewInternalGitalyClient(r.conn).ListPoolUpstreams(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&gitalypb.ListPoolUpstreamsRequest{StorageName: storage}))
	require.NoError(t, stream.Send(&gitalypb.ListPoolUpstreamsRequest{PoolDiskPaths: pools}))
	require.NoError(t, stream.CloseSend())
	answer, err := stream.Recv()
	require.NoError(t, err)

	return answer.GetUpstreams()
}
