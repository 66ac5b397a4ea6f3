package proxy_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/proxy/gitalypb"
	"praefect/proxy/relay"
	"praefect/transaction/registry"
)

// commitFiles streams from the client and answers once.
const commitFiles = "/gitaly.OperationService/UserCommitFiles"

// fault is what a node does wrong. It gets a channel that is closed when the test is over.
type fault func(v *visit, over <-chan struct{}) error

// refuse, as a fault, is a node to which nobody can connect any more.
const refuse = "refuse"

// faults are the ways in which a node can fail a call, by name.
func faults() map[string]fault {
	stall := func(_ *visit, over <-chan struct{}) error { <-over; return errAborted }
	read := func(v *visit, frames int) {
		for range frames {
			_ = v.RecvMsg(&gitalypb.RefExistsRequest{})
		}
	}
	return map[string]fault{
		refuse: nil,
		"reset at once": func(v *visit, _ <-chan struct{}) error {
			v.node.kill()
			return nil
		},
		"reset after a frame": func(v *visit, _ <-chan struct{}) error {
			read(v, 1)
			v.node.kill()
			return nil
		},
		"stall reading":       stall,
		"trailers only":       func(*visit, <-chan struct{}) error { return errAborted },
		"end without message": func(*visit, <-chan struct{}) error { return nil },
		"stall writing": func(v *visit, over <-chan struct{}) error {
			read(v, 1)
			return stall(v, over)
		},
		"huge message": func(v *visit, _ <-chan struct{}) error {
			read(v, 1)
			return v.SendMsg(&gitalypb.RefExistsRequest{Ref: make([]byte, 5<<20)})
		},
	}
}

// brief is what faults are given until somebody loses patience; a busy machine needs less.
const brief = time.Second

// faulty starts a cluster in which nobody waits long.
func faulty(t *testing.T) *cluster {
	t.Helper()
	return newCluster(t, func(s *settings) {
		s.registry = registry.Config{
			VoteTimeout: brief, GraceMin: brief, GraceMax: brief,
		}
		s.relay = relay.DefaultConfig()
		s.relay.Patience = 100 * time.Millisecond
	})
}

// misbehave gives a node a fault, until the test is over.
func (c *cluster) misbehave(victim int, method string, do fault) {
	if do == nil {
		c.nodes[victim].kill()
		return
	}
	over := make(chan struct{})
	c.t.Cleanup(func() { close(over) })
	c.nodes[victim].on(method, func(v *visit) error {
		// A node that is killed waits for its handlers, so it must not be from within one.
		done := make(chan error, 1)
		go func() { done <- do(v, over) }()
		select {
		case err := <-done:
			return err
		case <-v.Context().Done():
			return v.Context().Err()
		}
	})
}

// upload sends a request of several messages.
func (c *cluster) upload(ctx context.Context, method string) (metadata.MD, error) {
	stream, err := c.client.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, method)
	if err != nil {
		return nil, err
	}
	err = stream.SendMsg(commitHeader())
	for range 20 {
		if err == nil {
			err = stream.SendMsg(&gitalypb.UserCommitFilesRequest{})
		}
	}
	// An error of sending says only that receiving tells more.
	_ = stream.CloseSend()
	err = stream.RecvMsg(&gitalypb.UserCommitFilesResponse{})
	return stream.Trailer(), err
}

// TestFaultsInWrites has a node fail a write in each way. A secondary costs nothing but itself; a
// primary fails the call, in a bounded time, and nothing is recorded.
func TestFaultsInWrites(t *testing.T) {
	t.Parallel()
	for name, do := range faults() {
		for victim, role := range []string{"primary", "secondary"} {
			for _, method := range []string{createBranch, commitFiles} {
				t.Run(role+" "+name+method, func(t *testing.T) {
					t.Parallel()
					testFaultInWrite(t, victim, method, do)
				})
			}
		}
	}
}

func testFaultInWrite(t *testing.T, victim int, method string, do fault) {
	t.Helper()
	c := faulty(t)
	c.onAll(method, change("v"))
	c.misbehave(victim, method, do)
	limit := brief
	if victim > 0 {
		limit = 3 * patience
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var trailer metadata.MD
	var err error
	if method == createBranch {
		err = c.client.Invoke(ctx, method,
			&gitalypb.UserCreateBranchRequest{Repository: target()},
			&gitalypb.UserCreateBranchResponse{}, grpc.Trailer(&trailer))
	} else {
		trailer, err = c.upload(ctx, method)
	}
	if victim == 0 {
		require.NotEqual(t, []string{"recorded"}, trailer.Get("praefect-outcome"))
		require.Contains(t, c.current(), "node-1", "nothing was recorded without it")
		return
	}
	require.NoError(t, err, "the primary's answer is the client's")
	require.Equal(t, []string{"recorded"}, trailer.Get("praefect-outcome"))
	require.Equal(t, []string{"node-1", "node-3"}, c.current())
}

// TestFaultsInReads has two of three nodes fail a read. Only what is no answer is repeated.
func TestFaultsInReads(t *testing.T) {
	t.Parallel()
	for name, do := range faults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := faulty(t)
			c.onAll(refExists, answerRefExists)
			c.misbehave(0, refExists, do)
			c.misbehave(1, refExists, do)
			limit := brief / 3
			// No answer has begun: another replica gives it.
			repeated := name == refuse || strings.HasPrefix(name, "reset")
			if repeated {
				limit = patience
			}
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				_, err := c.refExists(ctx)
				if repeated {
					require.NoError(t, err)
				}
				require.Contains(t, []codes.Code{
					codes.OK, codes.Aborted, codes.DeadlineExceeded, codes.Internal,
					codes.ResourceExhausted,
				}, status.Code(err))
				cancel()
			}
		})
	}
}

// TestFaultsOfClients has a client fail a write in each way. Whatever it does, the nodes' calls end
// in a bounded time, and the next write to the repository succeeds.
func TestFaultsOfClients(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(t *testing.T, c *cluster, stream grpc.ClientStream){
		"half-closed without a message": func(t *testing.T, _ *cluster, stream grpc.ClientStream) {
			t.Helper()
			require.NoError(t, stream.CloseSend())
			err := stream.RecvMsg(&gitalypb.UserCommitFilesResponse{})
			require.EqualError(t, err, "rpc error: code = Internal desc = EOF")
		},
		"gone at once": func(*testing.T, *cluster, grpc.ClientStream) {},
		"gone in the upload": func(t *testing.T, c *cluster, stream grpc.ClientStream) {
			t.Helper()
			require.NoError(t, stream.SendMsg(commitHeader()))
			c.awaitCalls(commitFiles)
		},
		"gone before the answer": func(t *testing.T, c *cluster, stream grpc.ClientStream) {
			t.Helper()
			require.NoError(t, stream.SendMsg(commitHeader()))
			require.NoError(t, stream.CloseSend())
			c.awaitCalls(commitFiles)
		},
		"silent until its deadline": func(t *testing.T, _ *cluster, stream grpc.ClientStream) {
			t.Helper()
			require.NoError(t, stream.SendMsg(commitHeader()))
			err := stream.RecvMsg(&gitalypb.UserCommitFilesResponse{})
			require.Equal(t, codes.DeadlineExceeded, status.Code(err), err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := faulty(t)
			c.onAll(commitFiles, afterUpload(change("v")))
			c.onAll(createBranch, change("w"))
			ctx, cancel := context.WithTimeout(t.Context(), 2*brief)
			stream, err := c.client.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true},
				commitFiles)
			require.NoError(t, err)
			do(t, c, stream)
			cancel()

			got := c.createBranch(t.Context())
			require.NoError(t, got.err)
			require.Len(t, c.current(), 3, "nobody is blamed for the client")
		})
	}
}

// TestSlowClient has a client that does not read: its node has to wait, long before all is sent.
// Other calls on the same connections do not wait. When it reads, it gets everything.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	const messages = 2048
	c := faulty(t)
	var sent atomic.Int64
	c.onAll(listRefs, func(v *visit) error {
		for range messages {
			if err := v.SendMsg(&gitalypb.RefExistsRequest{Ref: make([]byte, 32<<10)}); err != nil {
				return err
			}
			sent.Add(1)
		}
		return nil
	})
	c.onAll(refExists, answerRefExists)
	stream, err := c.client.NewStream(
		t.Context(), &grpc.StreamDesc{ServerStreams: true}, listRefs)
	require.NoError(t, err)
	require.NoError(t, stream.SendMsg(extraRequest()))
	require.NoError(t, stream.CloseSend())

	var before int64
	quiet := 0
	require.Eventually(t, func() bool {
		now := sent.Load()
		if quiet++; now == 0 || now != before {
			before, quiet = now, 0
		}
		return quiet == 20
	}, patience, 5*time.Millisecond)
	require.Less(t, sent.Load(), int64(messages/2), "what is in between is bounded")
	for range 10 {
		_, err := c.refExists(t.Context())
		require.NoError(t, err)
	}
	got := 0
	for err = stream.RecvMsg(&gitalypb.RefExistsRequest{}); err == nil; got++ {
		err = stream.RecvMsg(&gitalypb.RefExistsRequest{})
	}
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, messages, got)
}

// afterUpload does something when the whole request has come.
func afterUpload(do script) script {
	return func(v *visit) error {
		for {
			err := v.RecvMsg(&gitalypb.UserCommitFilesRequest{})
			if errors.Is(err, io.EOF) {
				return do(v)
			}
			if err != nil {
				return err
			}
		}
	}
}

// commitHeader is the first message of an upload.
func commitHeader() *gitalypb.UserCommitFilesRequest {
	return &gitalypb.UserCommitFilesRequest{
		UserCommitFilesRequestPayload: &gitalypb.UserCommitFilesRequest_Header{
			Header: &gitalypb.UserCommitFilesRequestHeader{Repository: target()},
		},
	}
}

// awaitCalls waits until every node was called.
func (c *cluster) awaitCalls(method string) {
	require.EventuallyWithT(c.t, func(t *assert.CollectT) {
		for _, n := range c.nodes {
			assert.NotZero(t, n.called(method))
		}
	}, patience, 5*time.Millisecond)
}
