package telemetry_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"praefect/proxy/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is a health service that knows one service only.
type node struct {
	healthpb.UnimplementedHealthServer
}

func (node) Check(
	_ context.Context, request *healthpb.HealthCheckRequest,
) (*healthpb.HealthCheckResponse, error) {
	if request.GetService() != "" {
		return nil, status.Error(codes.NotFound, "no such service")
	}
	return &healthpb.HealthCheckResponse{}, nil
}

func (node) Watch(
	_ *healthpb.HealthCheckRequest, stream grpc.ServerStreamingServer[healthpb.HealthCheckResponse],
) error {
	return errors.Join(stream.Send(&healthpb.HealthCheckResponse{}),
		stream.Send(&healthpb.HealthCheckResponse{}))
}

func connect(t testing.TB, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, node{})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	options = append(options,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return listener.DialContext(ctx)
		}))
	conn, err := grpc.NewClient("passthrough:///node", options...)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, conn.Close())
		server.Stop()
		require.NoError(t, <-served)
	})
	return conn
}

func TestClients(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	clients, err := telemetry.NewClients(registry, []float64{1})
	require.NoError(t, err)
	client := healthpb.NewHealthClient(connect(t, clients.DialOptions()...))

	_, err = client.Check(t.Context(), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	_, err = client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "other"})
	require.Equal(t, codes.NotFound, status.Code(err))
	stream, err := client.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	for err == nil {
		_, err = stream.Recv()
	}
	require.ErrorIs(t, err, io.EOF)
	_, err = stream.Recv()
	require.Error(t, err, "the end counts once")

	var want strings.Builder
	family := func(name, help string, lines ...string) {
		want.WriteString("# HELP grpc_client_" + name + " " + help + "\n# TYPE grpc_client_" +
			name + " counter\n")
		for _, line := range lines {
			want.WriteString("grpc_client_" + name + line + "\n")
		}
	}
	check := `{grpc_method="Check",grpc_service="grpc.health.v1.Health",grpc_type="unary"} `
	watch := `{grpc_method="Watch",grpc_service="grpc.health.v1.Health",grpc_type="server_stream"} `
	coded := func(code, labels string) string { return `{grpc_code="` + code + `",` + labels[1:] }
	family("started_total", "Calls to nodes that were started", check+"2", watch+"1")
	family("handled_total", "Calls to nodes that have ended, by code",
		coded("NotFound", check)+"1", coded("OK", check)+"1", coded("OK", watch)+"1")
	family("msg_sent_total", "Messages sent to nodes", check+"2", watch+"1")
	family("msg_received_total", "Messages received from nodes", check+"1", watch+"2")
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(want.String()),
		"grpc_client_started_total", "grpc_client_handled_total", "grpc_client_msg_sent_total",
		"grpc_client_msg_received_total"))
	require.Equal(t, 2, testutil.CollectAndCount(registry, "grpc_client_handling_seconds"))

	_, err = telemetry.NewClients(registry, nil)
	require.Error(t, err, "registered already")
}

// BenchmarkUnary compares a call with and without being measured.
func BenchmarkUnary(b *testing.B) {
	clients, err := telemetry.NewClients(prometheus.NewRegistry(), nil)
	require.NoError(b, err)
	for name, options := range map[string][]grpc.DialOption{
		"plain": nil, "measured": clients.DialOptions(),
	} {
		b.Run(name, func(b *testing.B) {
			client := healthpb.NewHealthClient(connect(b, options...))
			b.ReportAllocs()
			for b.Loop() {
				_, err := client.Check(b.Context(), &healthpb.HealthCheckRequest{})
				require.NoError(b, err)
			}
		})
	}
}
