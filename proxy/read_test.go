package proxy_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/proxy/backchannel"
	"praefect/proxy/gitalypb"
	"praefect/proxy/sidechannel"
)

const (
	refExists  = "/gitaly.RefService/RefExists"
	listRefs   = "/gitaly.RefService/ListRefs"
	repoSize   = "/gitaly.RepositoryService/RepositorySize"
	uploadPack = "/gitaly.SmartHTTPService/PostUploadPackWithSidechannel"
)

// answerRefExists answers with the repository that it was asked for as the error's text, so that
// tests see how the message was addressed.
func answerRefExists(v *visit) error {
	var request gitalypb.RefExistsRequest
	if err := v.RecvMsg(&request); err != nil {
		return err
	}
	_ = v.SetHeader(metadata.Pairs("path", request.GetRepository().GetRelativePath()))
	v.SetTrailer(metadata.Pairs("storage", request.GetRepository().GetStorageName()))
	return v.SendMsg(&gitalypb.RefExistsResponse{Value: string(request.GetRef()) == "refs/x"})
}

func unavailable(*visit) error { return status.Error(codes.Unavailable, "going down") }

func (c *cluster) refExists(
	ctx context.Context, options ...grpc.CallOption,
) (*gitalypb.RefExistsResponse, error) {
	return gitalypb.NewRefServiceClient(c.client).RefExists(ctx, &gitalypb.RefExistsRequest{
		Repository: target(), Ref: []byte("refs/x"),
	}, options...)
}

func TestReadIsAddressedToAReplica(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.onAll(refExists, answerRefExists)
	ctx := metadata.AppendToOutgoingContext(t.Context(),
		"gitaly-feature-x", "true", "virtual_storage", "mine", "user_id", "7")
	var header, trailer metadata.MD
	response, err := c.refExists(ctx, grpc.Header(&header), grpc.Trailer(&trailer))
	require.NoError(t, err)
	require.True(t, response.GetValue())
	require.Equal(t, []string{c.replicaPath}, header.Get("path"))
	storage := trailer.Get("storage")[0]
	require.Contains(t, []string{"node-1", "node-2", "node-3"}, storage)
	require.Empty(t, trailer.Get("praefect-outcome"), "reads have no outcome")

	seen := c.named(storage).metadata()
	require.Equal(t, []string{"true"}, seen.Get("gitaly-feature-x"))
	require.Equal(t, []string{"7"}, seen.Get("user_id"))
	require.Equal(t, []string{"mine", virtualStorage}, seen.Get("virtual_storage"))
	require.Len(t, seen.Get("authorization"), 1, "only the proxy's own")
	require.Len(t, seen.Get("x-gitlab-correlation-id"), 1, "generated")
	require.NotEmpty(t, seen.Get("x-gitlab-correlation-id")[0])
	require.Empty(t, seen.Get("gitaly-reference-transaction"))
	require.Equal(t, []string{"application/grpc+proto"}, seen.Get("content-type"))
}

// TestReadNeedsNoMultiplexing sends reads on plain connections once these are there, and writes on
// multiplexed ones.
func TestReadNeedsNoMultiplexing(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	plain := make(chan bool, 1)
	c.onAll(refExists, func(v *visit) error {
		_, err := backchannel.PeerID(v.Context())
		plain <- errors.Is(err, backchannel.ErrNotMultiplexed)
		return answerRefExists(v)
	})
	require.EventuallyWithT(t, func(e *assert.CollectT) {
		for range 3 * len(c.nodes) {
			_, err := c.refExists(t.Context())
			require.NoError(t, err)
			require.True(e, <-plain)
		}
	}, patience, 10*time.Millisecond)

	c.onAll(createBranch, change("v"))
	_, err := gitalypb.NewOperationServiceClient(c.client).UserCreateBranch(
		t.Context(), &gitalypb.UserCreateBranchRequest{Repository: target()})
	require.NoError(t, err, "votes came back")
}

func TestReadKeepsTheCorrelationID(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.onAll(refExists, answerRefExists)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-gitlab-correlation-id", "abc")
	var trailer metadata.MD
	_, err := c.refExists(ctx, grpc.Trailer(&trailer))
	require.NoError(t, err)
	seen := c.named(trailer.Get("storage")[0]).metadata()
	require.Equal(t, []string{"abc"}, seen.Get("x-gitlab-correlation-id"))
}

func TestReadGoesToAnotherReplica(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*node){
		"that is down":        func(n *node) { n.kill() },
		"that is unavailable": func(n *node) { n.on(refExists, unavailable) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			c.onAll(refExists, answerRefExists)
			fail(c.nodes[0])
			fail(c.nodes[1])
			for range 5 {
				response, err := c.refExists(t.Context())
				require.NoError(t, err)
				require.True(t, response.GetValue())
			}
			require.Equal(t, 5, c.nodes[2].called(refExists))
		})
	}
}

func TestReadFailsWhenAllReplicasDo(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.onAll(refExists, unavailable)
	_, err := c.refExists(t.Context())
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.ErrorContains(t, err, "going down")
	for _, n := range c.nodes {
		require.Equal(t, 1, n.called(refExists), "each is asked once")
	}
	count, err := testutil.GatherAndCount(c.metrics, "gitaly_praefect_read_retries_total")
	require.NoError(t, err)
	require.Equal(t, 1, count)
}

func TestReadIsNotRepeatedForOtherFailures(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.onAll(refExists, func(*visit) error { return status.Error(codes.NotFound, "no such ref") })
	_, err := c.refExists(t.Context())
	require.Equal(t, codes.NotFound, status.Code(err))
	require.Equal(t, 1, c.nodes[0].called(refExists)+c.nodes[1].called(refExists)+
		c.nodes[2].called(refExists))
}

func TestReadIsNotRepeatedAfterTheFirstByte(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.onAll(listRefs, func(v *visit) error {
		return errors.Join(v.SendMsg(&gitalypb.ListRefsResponse{
			References: []*gitalypb.ListRefsResponse_Reference{{Name: []byte("refs/x")}},
		}), unavailable(v))
	})
	stream, err := gitalypb.NewRefServiceClient(c.client).ListRefs(t.Context(),
		&gitalypb.ListRefsRequest{Repository: target()})
	require.NoError(t, err)
	response, err := stream.Recv()
	require.NoError(t, err)
	require.Len(t, response.GetReferences(), 1)
	_, err = stream.Recv()
	require.Error(t, err)
	require.Equal(t, 1, c.nodes[0].called(listRefs)+c.nodes[1].called(listRefs)+
		c.nodes[2].called(listRefs))
}

func TestReadOfThePrimary(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.onAll(refExists, answerRefExists)
	c.onAll(repoSize, func(v *visit) error {
		return v.SendMsg(&gitalypb.RepositorySizeResponse{Size: 1})
	})
	policy := metadata.AppendToOutgoingContext(t.Context(),
		"gitaly-route-repository-accessor-policy", "primary-only")
	for range 10 {
		_, err := c.refExists(policy)
		require.NoError(t, err)
		_, err = gitalypb.NewRepositoryServiceClient(c.client).RepositorySize(t.Context(),
			&gitalypb.RepositorySizeRequest{Repository: target()})
		require.NoError(t, err)
	}
	require.Equal(t, 10, c.nodes[0].called(refExists), "asked for by the client")
	require.Equal(t, 10, c.nodes[0].called(repoSize), "sizes differ per replica")
}

// Requirements: T139
func TestReadWithoutHealthyNode(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	for _, n := range c.nodes {
		c.sick.Store(n.storage, struct{}{})
	}
	_, err := c.refExists(t.Context())
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.ErrorContains(t, err, "no healthy nodes")
}

// dialMultiplexed connects a client that can be offered sidechannels.
func (c *cluster) dialMultiplexed() (*grpc.ClientConn, *sidechannel.Registry) {
	c.t.Helper()
	waiting := sidechannel.NewRegistry(zap.NewNop())
	mux := backchannel.NewClient(insecure.NewCredentials(), backchannel.Services{
		Sidechannel: waiting.Accept,
	}, zap.NewNop(), backchannel.DefaultConfig())
	conn := c.dial(mux)
	c.t.Cleanup(func() { require.NoError(c.t, mux.Close()) })
	return conn, waiting
}

func TestReadWithSidechannelIsRepeated(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	conn, waiting := c.dialMultiplexed()
	c.onAll(uploadPack, unavailable)
	c.nodes[2].on(uploadPack, func(v *visit) error {
		channel, err := sidechannel.Open(v.Context())
		if err != nil {
			return err
		}
		question, err := io.ReadAll(channel)
		if err != nil {
			return err
		}
		if _, err := channel.Write(append([]byte("re: "), question...)); err != nil {
			return err
		}
		if err := channel.Close(); err != nil {
			return err
		}
		return v.SendMsg(&gitalypb.PostUploadPackWithSidechannelResponse{})
	})
	for range 5 {
		var answer []byte
		waiter := waiting.Register(func(channel *sidechannel.ClientConn) error {
			_, err := channel.Write([]byte("want"))
			if joined := errors.Join(err, channel.CloseWrite()); joined != nil {
				return joined
			}
			answer, err = io.ReadAll(channel)
			return err
		})
		_, err := gitalypb.NewSmartHTTPServiceClient(conn).PostUploadPackWithSidechannel(
			waiter.Outgoing(t.Context()),
			&gitalypb.PostUploadPackWithSidechannelRequest{Repository: target()})
		require.NoError(t, err)
		require.NoError(t, waiter.Close())
		require.Equal(t, "re: want", string(answer))
	}
}

func TestSidechannelNeedsAMultiplexedConnection(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.onAll(uploadPack, func(v *visit) error {
		channel, err := sidechannel.Open(v.Context())
		if err != nil {
			return status.Error(codes.Internal, err.Error())
		}
		_, err = io.ReadAll(channel)
		return errors.Join(status.Error(codes.Internal, "cut off"), err, channel.Close())
	})
	ctx := metadata.AppendToOutgoingContext(t.Context(), sidechannel.Key, "3")
	_, err := gitalypb.NewSmartHTTPServiceClient(c.client).PostUploadPackWithSidechannel(
		ctx, &gitalypb.PostUploadPackWithSidechannelRequest{Repository: target()})
	require.ErrorContains(t, err, "non-multiplexed connection")
}

// TestSidechannelThatLeadsNowhere has the node answer while the proxy finds out that the client
// cannot be reached: whatever is first, the client hears the cause, not what the node made of it.
func TestSidechannelThatLeadsNowhere(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.onAll(uploadPack, func(v *visit) error {
		channel, err := sidechannel.Open(v.Context())
		if err != nil {
			return status.Error(codes.Internal, err.Error())
		}
		return errors.Join(status.Error(codes.Internal, "cut off"), channel.Close())
	})
	for range 50 {
		ctx := metadata.AppendToOutgoingContext(t.Context(), sidechannel.Key, "3")
		_, err := gitalypb.NewSmartHTTPServiceClient(c.client).PostUploadPackWithSidechannel(
			ctx, &gitalypb.PostUploadPackWithSidechannelRequest{Repository: target()})
		require.ErrorContains(t, err, "non-multiplexed connection")
	}
}

func TestReadOfAStorage(t *testing.T) {
	t.Parallel()
	const find = "/gitaly.RemoteService/FindRemoteRepository"
	c := newCluster(t)
	c.onAll(find, func(v *visit) error {
		var request gitalypb.FindRemoteRepositoryRequest
		if err := v.RecvMsg(&request); err != nil {
			return err
		}
		v.SetTrailer(metadata.Pairs("asked", request.GetStorageName()))
		return v.SendMsg(&gitalypb.FindRemoteRepositoryResponse{Exists: true})
	})
	c.nodes[0].on(find, unavailable)
	client := gitalypb.NewRemoteServiceClient(c.client)
	for range 5 {
		var trailer metadata.MD
		ctx := metadata.AppendToOutgoingContext(t.Context(), "gitaly-servers", "x")
		response, err := client.FindRemoteRepository(ctx, &gitalypb.FindRemoteRepositoryRequest{
			Remote: "https://example.com", StorageName: virtualStorage,
		}, grpc.Trailer(&trailer))
		require.NoError(t, err)
		require.True(t, response.GetExists())
		asked := trailer.Get("asked")[0]
		require.Contains(t, []string{"node-2", "node-3"}, asked)
		require.Equal(t, []string{"x"}, c.named(asked).metadata().Get("gitaly-servers"))
	}
}
