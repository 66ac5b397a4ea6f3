package proxy_test

import (
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/proxy/gitalypb"
	"praefect/proxy/learn/learntest"
)

const extra = "/gitaly.ExtraService/"

// extraRequest looks like a request of the extra service.
func extraRequest() *gitalypb.RefExistsRequest {
	return &gitalypb.RefExistsRequest{Repository: target(), Ref: []byte("text")}
}

// addressed answers with where the first message was addressed to.
func addressed(v *visit) error {
	var request gitalypb.RefExistsRequest
	if err := v.RecvMsg(&request); err != nil {
		return err
	}
	v.SetTrailer(metadata.Pairs("storage", request.GetRepository().GetStorageName(),
		"path", request.GetRepository().GetRelativePath(), "text", string(request.GetRef())))
	return v.SendMsg(&gitalypb.RefExistsResponse{Value: true})
}

// newExtended starts a cluster whose nodes have the extra service.
func newExtended(t *testing.T) *cluster {
	t.Helper()
	c := newCluster(t)
	for _, n := range c.nodes {
		n.reflection.Describe(t, learntest.Extra(t))
	}
	return c
}

func TestLearntAccessor(t *testing.T) {
	t.Parallel()
	c := newExtended(t)
	c.onAll(extra+"Look", addressed)
	c.nodes[0].on(extra+"Look", unavailable)
	for range 5 {
		var trailer metadata.MD
		var answer gitalypb.RefExistsResponse
		require.NoError(t, c.client.Invoke(t.Context(), extra+"Look", extraRequest(), &answer,
			grpc.Trailer(&trailer)))
		require.True(t, answer.GetValue())
		require.Contains(t, []string{"node-2", "node-3"}, trailer.Get("storage")[0], "retried")
		require.Equal(t, []string{c.replicaPath}, trailer.Get("path"))
		require.Equal(t, []string{"text"}, trailer.Get("text"))
		require.Empty(t, trailer.Get("praefect-outcome"))
	}
	for _, n := range c.nodes {
		require.LessOrEqual(t, n.reflection.Asked(), 2)
	}
}

// TestLearntMutator votes like any other, on all nodes and in one order.
func TestLearntMutator(t *testing.T) {
	t.Parallel()
	c := newExtended(t)
	c.onAll(extra+"Change", change("v"))
	before := c.state(relativePath).Generation
	var trailer metadata.MD
	require.NoError(t, c.client.Invoke(t.Context(), extra+"Change", extraRequest(),
		&gitalypb.RefExistsResponse{}, grpc.Trailer(&trailer)))
	require.Equal(t, []string{"recorded"}, trailer.Get("praefect-outcome"))
	require.Equal(t, before+1, c.state(relativePath).Generation)
	require.Equal(t, []string{"node-1", "node-2", "node-3"}, c.current())

	c.nodes[2].on(extra+"Change", change("other"))
	require.NoError(t, c.client.Invoke(t.Context(), extra+"Change", extraRequest(),
		&gitalypb.RefExistsResponse{}))
	require.Equal(t, []string{"node-1", "node-2"}, c.current(), "a vote that differs counts")
}

func TestLearntUpload(t *testing.T) {
	t.Parallel()
	c := newExtended(t)
	c.onAll(extra+"Upload", func(v *visit) error {
		for {
			err := v.RecvMsg(&gitalypb.RefExistsRequest{})
			if errors.Is(err, io.EOF) {
				return change("v")(v)
			}
			if err != nil {
				return err
			}
		}
	})
	stream, err := c.client.NewStream(
		t.Context(), &grpc.StreamDesc{ClientStreams: true}, extra+"Upload")
	require.NoError(t, err)
	for range 100 {
		require.NoError(t, stream.SendMsg(extraRequest()))
	}
	require.NoError(t, stream.CloseSend())
	require.NoError(t, stream.RecvMsg(&gitalypb.RefExistsResponse{}))
	require.ErrorIs(t, stream.RecvMsg(&gitalypb.RefExistsResponse{}), io.EOF)
	require.Equal(t, []string{"recorded"}, stream.Trailer().Get("praefect-outcome"))
	require.Equal(t, []string{"node-1", "node-2", "node-3"}, c.current())
}

func TestLearntOfAStorage(t *testing.T) {
	t.Parallel()
	c := newExtended(t)
	c.onAll(extra+"Disk", func(v *visit) error {
		var request gitalypb.WalkReposRequest
		if err := v.RecvMsg(&request); err != nil {
			return err
		}
		v.SetTrailer(metadata.Pairs("asked", request.GetStorageName()))
		return v.SendMsg(&gitalypb.WalkReposResponse{})
	})
	var trailer metadata.MD
	require.NoError(t, c.client.Invoke(t.Context(), extra+"Disk",
		&gitalypb.WalkReposRequest{StorageName: virtualStorage}, &gitalypb.WalkReposResponse{},
		grpc.Trailer(&trailer)))
	require.Contains(t, []string{"node-1", "node-2", "node-3"}, trailer.Get("asked")[0])
}

func TestLearntMaintenance(t *testing.T) {
	t.Parallel()
	c := newExtended(t)
	c.onAll(extra+"Tidy", addressed)
	require.NoError(t, c.client.Invoke(t.Context(), extra+"Tidy", extraRequest(),
		&gitalypb.RefExistsResponse{}))
	for _, n := range c.nodes {
		require.Equal(t, 1, n.called(extra+"Tidy"), n.storage)
	}
}

// TestUnknownMethod is one that nobody knows, or that nobody can carry.
func TestUnknownMethod(t *testing.T) {
	t.Parallel()
	extended, plain := newExtended(t), newCluster(t)
	for name, of := range map[string]*cluster{
		extra + "Nothing":   extended,
		extra + "Ambiguous": extended,
		extra + "Look":      plain,
		"/other.Service/X":  extended,
	} {
		err := of.client.Invoke(t.Context(), name, extraRequest(), &gitalypb.RefExistsResponse{})
		require.Equal(t, codes.Unimplemented, status.Code(err), name)
		require.ErrorContains(t, err, "unknown method: "+name)
		for _, n := range of.nodes {
			require.Zero(t, n.called(name), name)
		}
	}
}

// TestUpgradeOfOneNode restarts a node in a version that knows more. Reads find it, whichever node
// they meet first.
func TestUpgradeOfOneNode(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	err := c.client.Invoke(t.Context(), extra+"Look", extraRequest(),
		&gitalypb.RefExistsResponse{})
	require.Equal(t, codes.Unimplemented, status.Code(err))

	c.onAll(extra+"Look", func(*visit) error {
		return status.Error(codes.Unimplemented, "unknown method Look")
	})
	c.nodes[1].kill()
	c.nodes[1].on(extra+"Look", addressed)
	c.nodes[1].reflection.Describe(t, learntest.Extra(t))
	c.nodes[1].start()
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		assert.NoError(collect, c.client.Invoke(t.Context(), extra+"Look", extraRequest(),
			&gitalypb.RefExistsResponse{}))
	}, 2*patience, patience/100)
	for range 5 {
		require.NoError(t, c.client.Invoke(t.Context(), extra+"Look", extraRequest(),
			&gitalypb.RefExistsResponse{}))
	}
}

func TestNobodyCanBeAsked(t *testing.T) {
	t.Parallel()
	c := newExtended(t)
	for _, n := range c.nodes {
		n.kill()
	}
	err := c.client.Invoke(t.Context(), extra+"Look", extraRequest(),
		&gitalypb.RefExistsResponse{})
	require.Equal(t, codes.Unavailable, status.Code(err))
}
