package backend_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"praefect/proxy/backchannel"
	"praefect/proxy/backend"
	"praefect/proxy/gitalypb"
)

const (
	// patience bounds what must happen soon; no test waits for it to pass.
	patience = 10 * time.Second
	// tick is how often a condition is looked at.
	tick = 10 * time.Millisecond
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// fakeNode is the server side of a node: real multiplexing, and services that
// do what the test says.
type fakeNode struct {
	healthpb.UnimplementedHealthServer
	gitalypb.UnimplementedSmartHTTPServiceServer
	gitalypb.UnimplementedRepositoryServiceServer

	peers *backchannel.Peers
	grpc  *grpc.Server
	stop  func() // ends it as a crash would; can be called repeatedly

	check func(ctx context.Context) (*healthpb.HealthCheckResponse, error)
	fetch func(ctx context.Context) error
	write func(ctx context.Context) (*gitalypb.WriteRefResponse, error)
}

// Check implements the health service.
func (n *fakeNode) Check(
	ctx context.Context, _ *healthpb.HealthCheckRequest,
) (*healthpb.HealthCheckResponse, error) {
	if n.check == nil {
		return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, nil
	}
	return n.check(ctx)
}

// PostUploadPackWithSidechannel implements fetches.
func (n *fakeNode) PostUploadPackWithSidechannel(
	ctx context.Context, _ *gitalypb.PostUploadPackWithSidechannelRequest,
) (*gitalypb.PostUploadPackWithSidechannelResponse, error) {
	if err := n.fetch(ctx); err != nil {
		return nil, err
	}
	return &gitalypb.PostUploadPackWithSidechannelResponse{}, nil
}

// WriteRef implements writes.
func (n *fakeNode) WriteRef(
	ctx context.Context, _ *gitalypb.WriteRefRequest,
) (*gitalypb.WriteRefResponse, error) {
	return n.write(ctx)
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return listener
}

// start serves the node on a listener until the test ends.
func (n *fakeNode) start(t testing.TB, listener net.Listener) *fakeNode {
	t.Helper()
	n.peers = backchannel.NewPeers(zap.NewNop())
	mux := backchannel.NewServer(
		insecure.NewCredentials(), n.peers, zap.NewNop(), backchannel.DefaultConfig())
	n.grpc = grpc.NewServer(append(mux.Options(), grpc.WaitForHandlers(true))...)
	healthpb.RegisterHealthServer(n.grpc, n)
	gitalypb.RegisterSmartHTTPServiceServer(n.grpc, n)
	gitalypb.RegisterRepositoryServiceServer(n.grpc, n)
	served := make(chan error, 1)
	go func() { served <- n.grpc.Serve(mux.Listener(listener)) }()
	n.stop = sync.OnceFunc(func() {
		n.grpc.Stop()
		require.NoError(t, <-served)
		require.NoError(t, n.peers.Close())
	})
	t.Cleanup(n.stop)
	return n
}

// node returns a node of virtual storage "default" at a listener's address.
func node(storage string, listener net.Listener) backend.Node {
	return backend.Node{
		VirtualStorage: "default",
		Storage:        storage,
		Address:        "tcp://" + listener.Addr().String(),
		Token:          "secret",
	}
}

func dial(t testing.TB, deps backend.Dependencies, nodes ...backend.Node) *backend.Pool {
	t.Helper()
	return dialWith(t, deps, backend.DefaultConfig(), nodes...)
}

func dialWith(
	t testing.TB, deps backend.Dependencies, cfg backend.Config, nodes ...backend.Node,
) *backend.Pool {
	t.Helper()
	pool, err := backend.Dial(nodes, deps, zap.NewNop(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = pool.Close() }) // may have been closed
	return pool
}

func connTo(t testing.TB, pool *backend.Pool, storage string) grpc.ClientConnInterface {
	t.Helper()
	conn, ok := pool.Conn("default", storage)
	require.True(t, ok)
	return conn
}

func write(ctx context.Context, conn grpc.ClientConnInterface) error {
	_, err := gitalypb.NewRepositoryServiceClient(conn).WriteRef(ctx, &gitalypb.WriteRefRequest{})
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
