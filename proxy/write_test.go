package proxy_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/coordinator"
	"praefect/proxy/gitalypb"
)

const (
	writeRef     = "/gitaly.RepositoryService/WriteRef"
	receivePack  = "/gitaly.SmartHTTPService/PostReceivePack"
	createBranch = "/gitaly.OperationService/UserCreateBranch"
	createRepo   = "/gitaly.RepositoryService/CreateRepository"
	setHooks     = "/gitaly.RepositoryService/SetCustomHooks"
	optimize     = "/gitaly.RepositoryService/OptimizeRepository"
)

// postReceive is what nodes vote when the hook behind all references of a push is through: SHA-1 of
// "synchronize post-receive hook".
const postReceive = "\x17\x70\x9b\xa9\xf2\x6e\xcc\x0b\x01\x09" +
	"\xe3\x01\x5e\xd9\xe8\x24\x79\x28\x41\xfb"

// errAborted is what a node answers whose vote was lost.
var errAborted = status.Error(codes.Aborted,
	"The operation could not be completed. Please try again.")

// change is a node that changes references as the hash says, and votes on it.
func change(hash string) script {
	return func(v *visit) error {
		if v.vote(preparing, hash) != commit || v.vote(prepared, hash) != commit {
			return errAborted
		}
		if v.vote(committed, hash) != commit {
			return errAborted
		}
		return v.SendMsg(&gitalypb.UserCreateBranchResponse{})
	}
}

// push is a node that is pushed to: it reads everything and votes as one with hooks does.
func push(hash string) script {
	return func(v *visit) error {
		for {
			err := v.RecvMsg(&gitalypb.PostReceivePackRequest{})
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
		}
		for _, step := range []struct {
			phase gitalypb.VoteTransactionRequest_Phase
			hash  string
		}{
			{synchronized, "pre-receive"},
			{synchronized, "update"},
			{prepared, hash},
			{committed, hash},
			{synchronized, "post-receive"},
			{committed, ""},
		} {
			if v.vote(step.phase, step.hash) != commit {
				return errAborted
			}
		}
		return v.SendMsg(&gitalypb.PostReceivePackResponse{Data: []byte("ok")})
	}
}

// result is how a write ended for the client.
type result struct {
	err     error
	outcome string
}

func (c *cluster) createBranch(ctx context.Context) result {
	var trailer metadata.MD
	_, err := gitalypb.NewOperationServiceClient(c.client).UserCreateBranch(ctx,
		&gitalypb.UserCreateBranchRequest{Repository: target()}, grpc.Trailer(&trailer))
	return concluded(err, trailer)
}

func (c *cluster) writeRef(ctx context.Context) result {
	var trailer metadata.MD
	_, err := gitalypb.NewRepositoryServiceClient(c.client).WriteRef(ctx,
		&gitalypb.WriteRefRequest{Repository: target()}, grpc.Trailer(&trailer))
	return concluded(err, trailer)
}

func concluded(err error, trailer metadata.MD) result {
	r := result{err: err}
	if outcome := trailer.Get("praefect-outcome"); len(outcome) == 1 {
		r.outcome = outcome[0]
	}
	return r
}

func TestWriteCommitsOnAll(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.onAll(createBranch, change("v"))
	r := c.createBranch(t.Context())
	require.NoError(t, r.err)
	require.Equal(t, "recorded", r.outcome)
	require.EqualValues(t, 1, c.state(relativePath).Generation)
	require.Equal(t, []string{"node-1", "node-2", "node-3"}, c.current())
	for _, n := range c.nodes {
		seen := n.metadata()
		require.Len(t, seen.Get("gitaly-reference-transaction"), 1)
		require.Equal(t, []string{virtualStorage}, seen.Get("virtual_storage"))
	}
}

func TestWriteWithFailingSecondaries(t *testing.T) {
	t.Parallel()
	tests := map[string]func(c *cluster, n *node){
		"votes differently": func(_ *cluster, n *node) { n.on(createBranch, change("other")) },
		"is down":           func(_ *cluster, n *node) { n.kill() },
		"fails at once":     func(_ *cluster, n *node) { n.on(createBranch, unavailable) },
		"dies when told to commit": func(_ *cluster, n *node) {
			n.on(createBranch, func(v *visit) error {
				v.vote(preparing, "v")
				v.vote(prepared, "v")
				return status.Error(codes.Internal, "disk full")
			})
		},
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			c.onAll(createBranch, change("v"))
			spoil(c, c.nodes[1])
			r := c.createBranch(t.Context())
			require.NoError(t, r.err)
			require.Equal(t, "recorded", r.outcome)
			require.EqualValues(t, 1, c.state(relativePath).Generation)
			require.Equal(t, []string{"node-1", "node-3"}, c.current())
		})
	}
}

func TestWriteWithoutQuorum(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.nodes[0].on(createBranch, change("v"))
	c.nodes[1].on(createBranch, change("w"))
	c.nodes[2].on(createBranch, change("x"))
	r := c.createBranch(t.Context())
	require.Equal(t, codes.Aborted, status.Code(r.err), "the primary's status")
	require.Equal(t, "none", r.outcome)
	require.EqualValues(t, 0, c.state(relativePath).Generation)
	require.Equal(t, []string{"node-1", "node-2", "node-3"}, c.current(), "nobody is blamed")
}

func TestWriteWithTooFewNodes(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.onAll(createBranch, change("v"))
	c.sick.Store("node-2", struct{}{})
	c.sick.Store("node-3", struct{}{})
	r := c.createBranch(t.Context())
	require.Equal(t, codes.Unavailable, status.Code(r.err))
	require.ErrorContains(t, r.err, "needs 2 current replicas on healthy nodes, has 1")
	require.ErrorContains(t, r.err, `"node-2" is not healthy`)
	require.Equal(t, "none", r.outcome)
	require.Zero(t, c.nodes[0].called(createBranch))
}

func TestWriteWithTransportTrouble(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		primary script
		code    codes.Code
		outcome string
		current []string
	}{
		"primary dies before it votes": {
			primary: func(v *visit) error {
				go v.node.kill()
				<-v.Context().Done()
				return nil
			},
			code: codes.Unavailable, outcome: "none",
			current: []string{"node-1", "node-2", "node-3"},
		},
		"primary dies when told to commit": {
			primary: func(v *visit) error {
				v.vote(preparing, "v")
				v.vote(prepared, "v")
				go v.node.kill()
				<-v.Context().Done()
				return nil
			},
			code: codes.Internal, outcome: "recorded", current: []string{"node-2", "node-3"},
		},
		"primary dies after it committed": {
			primary: func(v *visit) error {
				v.vote(preparing, "v")
				v.vote(prepared, "v")
				v.vote(committed, "v")
				go v.node.kill()
				<-v.Context().Done()
				return nil
			},
			code: codes.Internal, outcome: "recorded",
			current: []string{"node-1", "node-2", "node-3"},
		},
		"primary fails after it committed": {
			primary: func(v *visit) error {
				return errors.Join(change("v")(v), status.Error(codes.Unavailable, "own words"))
			},
			code: codes.Unavailable, outcome: "recorded",
			current: []string{"node-1", "node-2", "node-3"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			c.onAll(createBranch, change("v"))
			c.nodes[0].on(createBranch, tc.primary)
			r := c.createBranch(t.Context())
			require.Equal(t, tc.code.String(), status.Code(r.err).String(), "%v", r.err)
			require.Equal(t, tc.outcome, r.outcome)
			require.Equal(t, tc.current, c.current())
		})
	}
}

func TestDeletionThatDoesNotVote(t *testing.T) {
	t.Parallel()
	ok := func(v *visit) error { return v.SendMsg(&gitalypb.WriteRefResponse{}) }
	c := newCluster(t)
	c.onAll(writeRef, ok)
	c.nodes[2].on(writeRef, func(*visit) error { return status.Error(codes.Internal, "disk full") })
	r := c.writeRef(t.Context())
	require.NoError(t, r.err)
	require.Equal(t, "recorded", r.outcome)
	require.EqualValues(t, 1, c.state(relativePath).Generation)
	require.Equal(t, []string{"node-1", "node-2"}, c.current())
}

func TestClientGoesAwayInADeletionThatDoesNotVote(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	arrived, release := make(chan struct{}, 3), make(chan struct{})
	c.onAll(writeRef, func(v *visit) error {
		arrived <- struct{}{}
		<-release
		return v.SendMsg(&gitalypb.WriteRefResponse{})
	})
	c.nodes[2].on(writeRef, func(*visit) error { return status.Error(codes.Internal, "disk full") })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan result, 1)
	go func() { done <- c.writeRef(ctx) }()
	<-arrived
	<-arrived
	cancel()
	require.Equal(t, codes.Canceled, status.Code((<-done).err))
	close(release)
	// Two nodes have deleted something that the third still has.
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		assert.Equal(collect, []string{"node-1", "node-2"}, c.current())
	}, patience, patience/1000)
}

func TestPush(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.onAll(receivePack, push("v"))
	for generation := range 3 {
		stream, err := gitalypb.NewSmartHTTPServiceClient(c.client).PostReceivePack(t.Context())
		require.NoError(t, err)
		require.NoError(t, stream.Send(&gitalypb.PostReceivePackRequest{Repository: target()}))
		for range 20 {
			require.NoError(t, stream.Send(&gitalypb.PostReceivePackRequest{
				Data: make([]byte, 100_000),
			}))
		}
		require.NoError(t, stream.CloseSend())
		response, err := stream.Recv()
		require.NoError(t, err)
		require.Equal(t, "ok", string(response.GetData()))
		_, err = stream.Recv()
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, []string{"recorded"}, stream.Trailer().Get("praefect-outcome"))
		require.EqualValues(t, generation+1, c.state(relativePath).Generation)
	}
	require.Equal(t, []string{"node-1", "node-2", "node-3"}, c.current())
}

// TestPushBreaksOff has a push end with an error after it wrote its first reference: whether there
// were more is known only when the node came to what follows the last.
func TestPushBreaksOff(t *testing.T) {
	t.Parallel()
	full := status.Error(codes.Internal, "disk full")
	for name, tc := range map[string]struct {
		then func(v *visit)
		want string
	}{
		"after the first": {func(*visit) {}, "partial"},
		"at the second":   {func(v *visit) { v.vote(synchronized, "update") }, "partial"},
		"behind the hook": {func(v *visit) { v.vote(synchronized, postReceive) }, "recorded"},
		"behind git":      {func(v *visit) { v.vote(committed, "") }, "recorded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			c.onAll(receivePack, func(v *visit) error {
				if err := v.RecvMsg(&gitalypb.PostReceivePackRequest{}); err != nil {
					return err
				}
				if v.vote(prepared, "v") == commit && v.vote(committed, "v") == commit {
					tc.then(v)
				}
				return full
			})
			stream, err := gitalypb.NewSmartHTTPServiceClient(c.client).PostReceivePack(t.Context())
			require.NoError(t, err)
			require.NoError(t, stream.Send(&gitalypb.PostReceivePackRequest{
				Repository: target(), Data: []byte("00a1"),
			}))
			require.NoError(t, stream.CloseSend())
			_, err = stream.Recv()
			require.ErrorContains(t, err, "disk full")
			require.Equal(t, []string{tc.want}, stream.Trailer().Get("praefect-outcome"))
			require.EqualValues(t, 1, c.state(relativePath).Generation)
		})
	}
}

func TestPusherGoesAway(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	arrived := make(chan struct{}, 3)
	c.onAll(receivePack, func(v *visit) error {
		if err := v.RecvMsg(&gitalypb.PostReceivePackRequest{}); err != nil {
			return err
		}
		arrived <- struct{}{}
		return push("v")(v)
	})
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := gitalypb.NewSmartHTTPServiceClient(c.client).PostReceivePack(ctx)
	require.NoError(t, err)
	require.NoError(t, stream.Send(&gitalypb.PostReceivePackRequest{Repository: target()}))
	for range 3 {
		<-arrived
	}
	cancel()
	// A write right afterwards is not held up, and finds nothing changed.
	c.onAll(createBranch, change("w"))
	r := c.createBranch(t.Context())
	require.NoError(t, r.err)
	require.EqualValues(t, 1, c.state(relativePath).Generation)
	require.Equal(t, []string{"node-1", "node-2", "node-3"}, c.current())
}

func TestClientGoesAwayBetweenVotes(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	reached, release := make(chan struct{}, 3), make(chan struct{})
	c.onAll(createBranch, func(v *visit) error {
		if v.vote(preparing, "v") != commit || v.vote(prepared, "v") != commit {
			return errAborted
		}
		reached <- struct{}{}
		<-release
		if v.vote(committed, "v") != commit {
			return errAborted
		}
		return v.SendMsg(&gitalypb.UserCreateBranchResponse{})
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan result, 1)
	go func() { done <- c.createBranch(ctx) }()
	for range 3 {
		<-reached
	}
	cancel()
	require.Equal(t, codes.Canceled, status.Code((<-done).err))
	close(release)
	// What nodes were told to commit they commit, and it is recorded.
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		assert.EqualValues(collect, 1, c.state(relativePath).Generation)
	}, patience, patience/1000)
	require.Equal(t, []string{"node-1", "node-2", "node-3"}, c.current())
}

func TestCreation(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.onAll(createRepo, func(v *visit) error {
		for _, phase := range []gitalypb.VoteTransactionRequest_Phase{
			preparing, prepared, committed,
		} {
			if v.vote(phase, "config and references") != commit {
				return errAborted
			}
		}
		return v.SendMsg(&gitalypb.CreateRepositoryResponse{})
	})
	create := func(path string) result {
		var trailer metadata.MD
		_, err := gitalypb.NewRepositoryServiceClient(c.client).CreateRepository(t.Context(),
			&gitalypb.CreateRepositoryRequest{Repository: repository(virtualStorage, path)},
			grpc.Trailer(&trailer))
		return concluded(err, trailer)
	}
	r := create("new")
	require.NoError(t, r.err)
	require.Equal(t, "recorded", r.outcome)
	require.Len(t, c.state("new").Replicas, 3)
	r = create("new")
	require.Equal(t, codes.AlreadyExists, status.Code(r.err))
	require.Equal(t, "none", r.outcome)

	c.onAll(createRepo, func(*visit) error { return status.Error(codes.Internal, "disk full") })
	r = create("failing")
	require.Equal(t, codes.Internal, status.Code(r.err))
	require.Equal(t, "none", r.outcome)
	_, err := c.store.Lookup(t.Context(), coordinator.Key{
		VirtualStorage: virtualStorage, RelativePath: "failing",
	})
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound)
}

func TestMaintenanceGoesToAll(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	ok := func(v *visit) error { return v.SendMsg(&gitalypb.OptimizeRepositoryResponse{}) }
	c.onAll(optimize, ok)
	maintain := func() error {
		_, err := gitalypb.NewRepositoryServiceClient(c.client).OptimizeRepository(t.Context(),
			&gitalypb.OptimizeRepositoryRequest{Repository: target()})
		return err
	}
	require.NoError(t, maintain())
	for _, n := range c.nodes {
		require.Equal(t, 1, n.called(optimize))
		require.Empty(t, n.metadata().Get("gitaly-reference-transaction"))
	}
	c.nodes[1].on(optimize, func(*visit) error { return status.Error(codes.Internal, "two") })
	c.nodes[2].on(optimize, func(*visit) error { return status.Error(codes.Internal, "three") })
	require.ErrorContains(t, maintain(), "two")
	require.EqualValues(t, 0, c.state(relativePath).Generation)
}
