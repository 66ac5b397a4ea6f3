package backend_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/proxy/backchannel"
	"praefect/proxy/backend"
	"praefect/proxy/gitalypb"
	"praefect/proxy/sidechannel"
)

// chain is client -> proxy -> nodes, each on multiplexed connections.
type chain struct {
	client  *grpc.ClientConn
	waiting *sidechannel.Registry // the client's
	ballots chan string           // the votes that the proxy got
}

// proxying is the proxy's side: it passes writes on to every node and fetches
// on to the first.
type proxying struct {
	gitalypb.UnimplementedSmartHTTPServiceServer
	gitalypb.UnimplementedRepositoryServiceServer
	pool     *backend.Pool
	registry *sidechannel.Registry
}

// WriteRef passes a write on.
func (p *proxying) WriteRef(
	ctx context.Context, request *gitalypb.WriteRefRequest,
) (response *gitalypb.WriteRefResponse, err error) {
	for _, node := range p.pool.Nodes() {
		conn, _ := p.pool.Conn(node.VirtualStorage, node.Storage)
		response, err = gitalypb.NewRepositoryServiceClient(conn).WriteRef(ctx, request)
		if err != nil {
			return nil, err
		}
	}
	return response, nil
}

// PostUploadPackWithSidechannel passes a fetch on.
func (p *proxying) PostUploadPackWithSidechannel(
	ctx context.Context, request *gitalypb.PostUploadPackWithSidechannelRequest,
) (*gitalypb.PostUploadPackWithSidechannelResponse, error) {
	nodeCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	relay, md, err := p.registry.Relay(ctx, cancel)
	if err != nil {
		return nil, err
	}
	defer func() { _ = relay.Close() }() // returns nil
	first := p.pool.Nodes()[0]
	conn, _ := p.pool.Conn(first.VirtualStorage, first.Storage)
	response, err := gitalypb.NewSmartHTTPServiceClient(conn).PostUploadPackWithSidechannel(
		metadata.NewOutgoingContext(nodeCtx, md), request)
	if relayErr := relay.Wait(); err == nil && relayErr != nil {
		return nil, relayErr
	}
	return response, err
}

// startChain builds the chain with so many nodes.
func startChain(t testing.TB, nodeCount int) *chain {
	t.Helper()
	c := &chain{
		ballots: make(chan string, 16),
		waiting: sidechannel.NewRegistry(zap.NewNop()),
	}
	proxy := &proxying{registry: sidechannel.NewRegistry(zap.NewNop())}
	proxy.pool = dial(t, backend.Dependencies{
		Votes: func(node backend.Node) gitalypb.RefTransactionServer {
			return votes{cast: func(_ context.Context, claimed string) error {
				c.ballots <- fmt.Sprintf("%s claims %s", node.Storage, claimed)
				if claimed != node.Storage {
					return status.Error(codes.Internal, "invalid node")
				}
				return nil
			}}
		},
		Sidechannels: proxy.registry,
	}, startNodes(t, nodeCount)...)

	listener := listen(t)
	peers := backchannel.NewPeers(zap.NewNop())
	mux := backchannel.NewServer(
		insecure.NewCredentials(), peers, zap.NewNop(), backchannel.DefaultConfig())
	server := grpc.NewServer(mux.Options()...)
	gitalypb.RegisterRepositoryServiceServer(server, proxy)
	gitalypb.RegisterSmartHTTPServiceServer(server, proxy)
	served := make(chan error, 1)
	go func() { served <- server.Serve(mux.Listener(listener)) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
		require.NoError(t, peers.Close())
	})

	client := backchannel.NewClient(insecure.NewCredentials(),
		backchannel.Services{Sidechannel: c.waiting.Accept}, zap.NewNop(),
		backchannel.DefaultConfig())
	var err error
	c.client, err = grpc.NewClient("passthrough:///"+listener.Addr().String(),
		grpc.WithTransportCredentials(client))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, c.client.Close())
		require.NoError(t, client.Close())
	})
	return c
}

// startNodes starts nodes that vote on writes and serve fetches.
func startNodes(t testing.TB, count int) []backend.Node {
	t.Helper()
	nodes := make([]backend.Node, 0, count)
	for i := range count {
		listener := listen(t)
		to := node(fmt.Sprintf("storage-%d", i+1), listener)
		n := &fakeNode{fetch: answerFetch}
		n.write = func(ctx context.Context) (*gitalypb.WriteRefResponse, error) {
			return &gitalypb.WriteRefResponse{}, n.vote(ctx, to.Storage)
		}
		n.start(t, listener)
		nodes = append(nodes, to)
	}
	return nodes
}

// vote calls back whoever called with ctx.
func (n *fakeNode) vote(ctx context.Context, storage string) error {
	id, err := backchannel.PeerID(ctx)
	if err != nil {
		return err
	}
	back, err := n.peers.Conn(id)
	if err != nil {
		return err
	}
	_, err = gitalypb.NewRefTransactionClient(back).VoteTransaction(
		ctx, &gitalypb.VoteTransactionRequest{Node: storage})
	return err
}

func answerFetch(ctx context.Context) error {
	conn, err := sidechannel.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // returns nil
	request, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	_, err = conn.Write(append([]byte("pack for "), request...))
	return err
}

// TestChain writes with votes from every node and fetches through the relay.
//
// Requirements: T011
func TestChain(t *testing.T) {
	t.Parallel()
	c := startChain(t, 3)
	for range 2 {
		require.NoError(t, write(within(t), c.client))
		for i := range 3 {
			storage := fmt.Sprintf("storage-%d", i+1)
			require.Equal(t, storage+" claims "+storage, receive(t, c.ballots))
		}
	}
	var answer []byte
	waiter := c.waiting.Register(func(conn *sidechannel.ClientConn) error {
		if _, err := io.WriteString(conn, "want"); err != nil {
			return err
		}
		if err := conn.CloseWrite(); err != nil {
			return err
		}
		var err error
		answer, err = io.ReadAll(conn)
		return err
	})
	_, err := gitalypb.NewSmartHTTPServiceClient(c.client).PostUploadPackWithSidechannel(
		waiter.Outgoing(within(t)), &gitalypb.PostUploadPackWithSidechannelRequest{})
	require.NoError(t, err)
	require.NoError(t, waiter.Close())
	require.Equal(t, "pack for want", string(answer))
}

// TestVoteIsBoundToDialledNode has one process serve two storages and vote
// for the first whatever it was called for: the proxy knows better.
func TestVoteIsBoundToDialledNode(t *testing.T) {
	t.Parallel()
	first := startNodes(t, 1)[0]
	second := first
	second.Storage = "storage-2"
	var dialled []string
	pool := dial(t, backend.Dependencies{
		Votes: func(node backend.Node) gitalypb.RefTransactionServer {
			dialled = append(dialled, node.Storage)
			return votes{cast: func(_ context.Context, claimed string) error {
				if claimed != node.Storage {
					return status.Errorf(codes.Internal, "%s is not %s", claimed, node.Storage)
				}
				return nil
			}}
		},
	}, first, second)
	require.Equal(t, []string{"storage-1", "storage-2"}, dialled)
	require.NoError(t, write(within(t), connTo(t, pool, "storage-1")))
	require.ErrorContains(t, write(within(t), connTo(t, pool, "storage-2")),
		"storage-1 is not storage-2")
}
