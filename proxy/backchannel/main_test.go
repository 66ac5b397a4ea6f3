package backchannel_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"praefect/proxy/backchannel"
	"praefect/proxy/gitalypb"
)

// patience bounds what must happen soon; no test waits for it to pass.
const patience = 10 * time.Second

// tick is how often a condition is looked at.
const tick = 10 * time.Millisecond

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// checker answers health checks with a function of the test, so that the test
// is inside a handler of the server.
type checker struct {
	healthpb.UnimplementedHealthServer
	check func(ctx context.Context) error
}

// Check implements the health service.
func (c *checker) Check(
	ctx context.Context, _ *healthpb.HealthCheckRequest,
) (*healthpb.HealthCheckResponse, error) {
	if err := c.check(ctx); err != nil {
		return nil, err
	}
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}, nil
}

// voting answers votes with a function of the test.
type voting struct {
	gitalypb.UnimplementedRefTransactionServer
	vote func(ctx context.Context, storage string) error
}

// VoteTransaction implements gitalypb.RefTransactionServer.
func (v *voting) VoteTransaction(
	ctx context.Context, request *gitalypb.VoteTransactionRequest,
) (*gitalypb.VoteTransactionResponse, error) {
	if err := v.vote(ctx, request.GetNode()); err != nil {
		return nil, err
	}
	return &gitalypb.VoteTransactionResponse{}, nil
}

// serving is a started gRPC server that accepts multiplexed connections.
type serving struct {
	address string
	peers   *backchannel.Peers
	grpc    *grpc.Server
}

type servingOptions struct {
	inner credentials.TransportCredentials // nil: plain
	cfg   backchannel.Config               // zero: the defaults
	check func(ctx context.Context) error  // nil: answers at once
}

func startServer(t testing.TB, options servingOptions) *serving {
	t.Helper()
	if options.inner == nil {
		options.inner = insecure.NewCredentials()
	}
	if options.cfg == (backchannel.Config{}) {
		options.cfg = backchannel.DefaultConfig()
	}
	if options.check == nil {
		options.check = func(context.Context) error { return nil }
	}
	peers := backchannel.NewPeers(zap.NewNop())
	mux := backchannel.NewServer(options.inner, peers, zap.NewNop(), options.cfg)
	server := grpc.NewServer(append(mux.Options(), grpc.WaitForHandlers(true))...)
	healthpb.RegisterHealthServer(server, &checker{check: options.check})
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(mux.Listener(inner)) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
		require.NoError(t, peers.Close())
	})
	return &serving{address: inner.Addr().String(), peers: peers, grpc: server}
}

// dialing is a client of a multiplexed connection.
type dialing struct {
	mux  *backchannel.Client
	conn *grpc.ClientConn
}

func (d *dialing) check(ctx context.Context) error {
	_, err := healthpb.NewHealthClient(d.conn).Check(ctx, &healthpb.HealthCheckRequest{})
	return err
}

func dial(t testing.TB, address string, services backchannel.Services) *dialing {
	t.Helper()
	return dialWith(t, address,
		backchannel.NewClient(insecure.NewCredentials(), services, zap.NewNop(),
			backchannel.DefaultConfig()))
}

func dialWith(t testing.TB, address string, mux *backchannel.Client) *dialing {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(mux), grpc.WithNoProxy())
	require.NoError(t, err)
	d := &dialing{mux: mux, conn: conn}
	t.Cleanup(func() {
		_ = conn.Close() // the test may have closed it
		require.NoError(t, mux.Close())
	})
	return d
}

// votingServer is the factory of a client's gRPC server.
func votingServer(vote func(ctx context.Context, storage string) error) func() *grpc.Server {
	return func() *grpc.Server {
		server := grpc.NewServer(grpc.WaitForHandlers(true))
		gitalypb.RegisterRefTransactionServer(server, &voting{vote: vote})
		return server
	}
}

func castVote(ctx context.Context, conn grpc.ClientConnInterface, storage string) error {
	_, err := gitalypb.NewRefTransactionClient(conn).VoteTransaction(
		ctx, &gitalypb.VoteTransactionRequest{Node: storage})
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
