package front_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"praefect/proxy/auth"
	"praefect/proxy/backchannel"
	"praefect/proxy/front"
	"praefect/proxy/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stand is a running server, and a client of it with the right token.
type stand struct {
	server   *front.Server
	address  string
	client   *grpc.ClientConn
	log      *observer.ObservedLogs
	registry *prometheus.Registry
	served   chan error
}

func setup(t *testing.T, relayed grpc.StreamHandler) *stand {
	t.Helper()
	core, observed := observer.New(zapcore.DebugLevel)
	log := zap.New(core)
	s := &stand{log: observed, registry: prometheus.NewRegistry(), served: make(chan error, 1)}
	verifier, err := auth.New(s.registry, auth.Config{Token: "secret", Now: time.Now})
	require.NoError(t, err)
	peers := backchannel.NewPeers(log)
	s.server, err = front.New(front.Dependencies{
		Codec: relay.NewCodec(), Relay: relayed,
		Services: []func(grpc.ServiceRegistrar) error{func(r grpc.ServiceRegistrar) error {
			grpc_health_v1.RegisterHealthServer(r, health.NewServer())
			return nil
		}},
		Status: func(_ context.Context, err error) error {
			return status.Error(codes.Unavailable, err.Error())
		},
		Verifier: verifier, Peers: peers, Registerer: s.registry,
	}, log, front.Config{Multiplexing: backchannel.DefaultConfig()})
	require.NoError(t, err)
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.address = listener.Addr().String()
	go func() { s.served <- s.server.Serve(listener) }()
	s.client = s.dial(t, "secret")
	t.Cleanup(func() {
		require.NoError(t, s.client.Close())
		require.NoError(t, s.server.Stop(context.Background()))
		require.NoError(t, peers.Close())
	})
	return s
}

func (s *stand) dial(t *testing.T, token string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(s.address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(auth.Credentials(token, time.Now)))
	require.NoError(t, err)
	return conn
}

func call(ctx context.Context, conn grpc.ClientConnInterface) error {
	return conn.Invoke(ctx, "/gitaly.Some/Method", &emptypb.Empty{}, &emptypb.Empty{})
}

func answer(stream grpc.ServerStream) error { return stream.SendMsg(&emptypb.Empty{}) }

func TestOneLineForEachCall(t *testing.T) {
	t.Parallel()
	seen := make(chan []string, 2)
	s := setup(t, func(_ any, stream grpc.ServerStream) error {
		md, _ := metadata.FromIncomingContext(stream.Context())
		seen <- md.Get("x-gitlab-correlation-id")
		front.AddFields(stream.Context(), zap.String("storage", "gitaly-1"))
		return answer(stream)
	})
	ctx := metadata.AppendToOutgoingContext(t.Context(),
		"x-gitlab-correlation-id", "abc", "username", "jane")
	require.NoError(t, call(ctx, s.client))
	require.Equal(t, []string{"abc"}, <-seen)
	require.NoError(t, call(t.Context(), s.client))
	made := <-seen
	require.Len(t, made, 1)

	require.NoError(t, s.server.Stop(t.Context()))
	lines := s.log.FilterMessage("finished streaming call with code OK").All()
	require.Len(t, lines, 2)
	fields := lines[0].ContextMap()
	require.Equal(t, "abc", fields["correlation_id"])
	require.Equal(t, "jane", fields["username"])
	require.Equal(t, "gitaly-1", fields["storage"])
	require.Equal(t, "gitaly.Some", fields["grpc.service"])
	require.Equal(t, "Method", fields["grpc.method"])
	require.Equal(t, made[0], lines[1].ContextMap()["correlation_id"])
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		relayed grpc.StreamHandler
		token   string
		code    codes.Code
		text    string
	}{
		"error of the handler": {
			func(any, grpc.ServerStream) error { return errors.New("no primary") },
			"secret", codes.Unavailable, "no primary",
		},
		"panic": {
			func(any, grpc.ServerStream) error { panic("oh") },
			"secret", codes.Unavailable, "rpc error: code = Internal desc = panic: oh",
		},
		"wrong token": {
			func(_ any, stream grpc.ServerStream) error { return answer(stream) },
			"wrong", codes.Unavailable,
			"permission denied: wrong hmac signature",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t, tc.relayed)
			conn := s.dial(t, tc.token)
			err := call(t.Context(), conn)
			require.NoError(t, conn.Close())
			require.Equal(t, tc.code, status.Code(err))
			require.Equal(t, tc.text, status.Convert(err).Message())
			require.NoError(t, s.server.Stop(t.Context()))
			require.Equal(t, 1,
				s.log.FilterMessage("finished streaming call with code Unavailable").Len())
			handled, err := testutil.GatherAndCount(s.registry, "grpc_server_handled_total")
			require.NoError(t, err)
			require.Positive(t, handled)
		})
	}
}

func TestHealthNeedsNoTokenAndIsNotLogged(t *testing.T) {
	t.Parallel()
	s := setup(t, func(_ any, stream grpc.ServerStream) error { return answer(stream) })
	conn := s.dial(t, "wrong")
	_, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(),
		&grpc_health_v1.HealthCheckRequest{})
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.NoError(t, s.server.Stop(t.Context()))
	require.Empty(t, s.log.FilterMessageSnippet("finished").All())
}

// A connection on which nothing was ever sent is in the handshake for ever; it must not hold up the
// end of the server.
func TestStopWithSilentConnection(t *testing.T) {
	t.Parallel()
	s := setup(t, func(_ any, stream grpc.ServerStream) error { return answer(stream) })
	var dialer net.Dialer
	silent, err := dialer.DialContext(t.Context(), "tcp", s.address)
	require.NoError(t, err)
	require.NoError(t, call(t.Context(), s.client))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	require.NoError(t, s.server.Stop(ctx))
	require.NoError(t, <-s.served)
	require.NoError(t, silent.Close())
}

func TestStopWaitsForCallsUntilItMayNot(t *testing.T) {
	t.Parallel()
	running := make(chan struct{})
	s := setup(t, func(_ any, stream grpc.ServerStream) error {
		close(running)
		<-stream.Context().Done()
		return context.Cause(stream.Context())
	})
	failed := make(chan error, 1)
	go func() { failed <- call(context.Background(), s.client) }()
	<-running
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.server.Stop(ctx), context.DeadlineExceeded)
	require.Error(t, <-failed)
}
