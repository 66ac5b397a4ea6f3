package sidechannel_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/proxy/backchannel"
	"praefect/proxy/gitalypb"
	"praefect/proxy/sidechannel"
)

// patience bounds what must happen soon; no test waits for it to pass.
const patience = time.Minute

// tick is shorter than anybody's patience.
const tick = 10 * time.Millisecond

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// fetching answers fetches with a function of the test.
type fetching struct {
	gitalypb.UnimplementedSmartHTTPServiceServer
	fetch func(ctx context.Context) error
}

// PostUploadPackWithSidechannel implements fetches.
func (f *fetching) PostUploadPackWithSidechannel(
	ctx context.Context, _ *gitalypb.PostUploadPackWithSidechannelRequest,
) (*gitalypb.PostUploadPackWithSidechannelResponse, error) {
	if err := f.fetch(ctx); err != nil {
		return nil, err
	}
	return &gitalypb.PostUploadPackWithSidechannelResponse{}, nil
}

func callFetch(ctx context.Context, conn grpc.ClientConnInterface) error {
	_, err := gitalypb.NewSmartHTTPServiceClient(conn).PostUploadPackWithSidechannel(
		ctx, &gitalypb.PostUploadPackWithSidechannelRequest{})
	return err
}

// serve starts a server of fetches that accepts multiplexed connections, and
// returns its address.
func serve(
	t testing.TB, cfg backchannel.Config, fetch func(ctx context.Context) error,
) string {
	t.Helper()
	peers := backchannel.NewPeers(zap.NewNop())
	mux := backchannel.NewServer(insecure.NewCredentials(), peers, zap.NewNop(), cfg)
	server := grpc.NewServer(append(mux.Options(), grpc.WaitForHandlers(true))...)
	gitalypb.RegisterSmartHTTPServiceServer(server, &fetching{fetch: fetch})
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(mux.Listener(listener)) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
		require.NoError(t, peers.Close())
	})
	return listener.Addr().String()
}

// party is somebody who calls and waits for sidechannels.
type party struct {
	registry *sidechannel.Registry
	mux      *backchannel.Client
	conn     *grpc.ClientConn
}

func join(t testing.TB, address string, cfg backchannel.Config) *party {
	t.Helper()
	registry := sidechannel.NewRegistry(zap.NewNop())
	mux := backchannel.NewClient(insecure.NewCredentials(),
		backchannel.Services{Sidechannel: registry.Accept}, zap.NewNop(), cfg)
	conn := connect(t, address, mux)
	t.Cleanup(func() {
		_ = conn.Close() // before its connections, so that none is made anew
		require.NoError(t, mux.Close())
	})
	return &party{registry: registry, mux: mux, conn: conn}
}

func connect(
	t testing.TB, address string, transport credentials.TransportCredentials,
) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(transport), grpc.WithNoProxy(), grpc.WithDisableRetry())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() }) // may have been closed
	return conn
}

// fetch makes a call with a sidechannel and returns both results.
func (p *party) fetch(
	ctx context.Context, callback func(*sidechannel.ClientConn) error,
) (call, channel error) {
	waiter := p.registry.Register(callback)
	call = callFetch(waiter.Outgoing(ctx), p.conn)
	return call, waiter.Close()
}

// relaying is a proxy between a client and a node.
type relaying struct {
	node   *party
	relays chan error // what Wait returned
}

// relayTo starts a proxy towards the node with the given address.
func relayTo(t testing.TB, node string, cfg backchannel.Config) (proxy string, _ *relaying) {
	t.Helper()
	r := &relaying{node: join(t, node, cfg), relays: make(chan error, 16)}
	return serve(t, cfg, r.pass), r
}

// pass is one call of the proxy.
func (r *relaying) pass(ctx context.Context) error {
	nodeCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	relay, md, err := r.node.registry.Relay(ctx, cancel)
	if err != nil {
		return err
	}
	defer func() { _ = relay.Close() }() // returns nil
	incoming, _ := metadata.FromIncomingContext(ctx)
	ids := metadata.MD{sidechannel.Key: incoming.Get(sidechannel.Key)}
	err = callFetch(metadata.NewOutgoingContext(nodeCtx, metadata.Join(ids, md)), r.node.conn)
	relayErr := relay.Wait()
	r.relays <- relayErr
	if relayErr != nil && (err == nil || status.Code(err) == codes.Canceled) {
		return relayErr
	}
	return err
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// receive waits for a value that must come soon.
func receive[T any](t testing.TB, values <-chan T) T {
	t.Helper()
	select {
	case value := <-values:
		return value
	case <-time.After(patience):
		require.FailNow(t, "nothing came")
		panic("not reached")
	}
}
