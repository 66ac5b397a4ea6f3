package auth_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"praefect/proxy/auth"
	"praefect/proxy/gitalypb"
)

func vectorTime() time.Time { return time.Unix(1535671600, 0) }

// Tokens of the secret "foo", named by what is wrong with them at the time above.
const (
	valid   = "v2.3346cb25ecdb928defd368e7390522a86764bbdf1e8b21aaef27c4c23ec9c899.1535671615"
	past    = "v2.b77158328e80be2984eaf08788419d25f3484eae484aec1297af6bdf1a456610.1535671585"
	future  = "v2.ab9e7315aeecf6815fc0df585370157814131acab376f41797ad4ebc4d9a823c.1535671631"
	expired = "v2.f805bc69ca3aedd99e814b3fb1fc1e6a1094191691480b168a20fad7c2d24557.1535671569"
	forged  = "v2.52a3b9016f46853c225c72b87617ac27109bba8a3068002069ab90e28253a911.1535671585"
	newer   = "v3.6fec98e8fe494284ce545c4b421799f02b9718b0eadfc3772d027e1ac5d6d569.1535671601"
)

// server answers every method of two services.
type server struct {
	gitalypb.UnimplementedServerServiceServer
	gitalypb.UnimplementedPraefectInfoServiceServer
}

func (server) ServerInfo(
	context.Context, *gitalypb.ServerInfoRequest,
) (*gitalypb.ServerInfoResponse, error) {
	return &gitalypb.ServerInfoResponse{}, nil
}

func (server) Dataloss(
	*gitalypb.DatalossRequest, grpc.ServerStreamingServer[gitalypb.DatalossResponse],
) error {
	return nil
}

// start serves with the given policy and returns a connection with the given options.
func start(
	t *testing.T, config auth.Config, options ...grpc.DialOption,
) (*grpc.ClientConn, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	verifier, err := auth.New(registry, config)
	require.NoError(t, err)
	s := grpc.NewServer(
		grpc.UnaryInterceptor(verifier.Unary), grpc.StreamInterceptor(verifier.Stream),
	)
	gitalypb.RegisterServerServiceServer(s, server{})
	gitalypb.RegisterPraefectInfoServiceServer(s, server{})
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	listener := bufconn.Listen(1 << 16)
	done := make(chan error, 1)
	go func() { done <- s.Serve(listener) }()
	t.Cleanup(func() {
		s.Stop()
		require.NoError(t, <-done)
	})
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return listener.DialContext(ctx)
		}))
	conn, err := grpc.NewClient("passthrough:///test", options...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn, registry
}

// unary and stream return the status of a call.
func unary(ctx context.Context, conn *grpc.ClientConn) *status.Status {
	_, err := gitalypb.NewServerServiceClient(conn).ServerInfo(ctx, &gitalypb.ServerInfoRequest{})
	return status.Convert(err)
}

func stream(ctx context.Context, conn *grpc.ClientConn) *status.Status {
	var response gitalypb.DatalossResponse
	client := gitalypb.NewPraefectInfoServiceClient(conn)
	calls, err := client.Dataloss(ctx, &gitalypb.DatalossRequest{})
	if err != nil {
		return status.Convert(err)
	}
	if err := calls.RecvMsg(&response); !errors.Is(err, io.EOF) {
		return status.Convert(err)
	}
	return nil
}

// Requirements: T018, T027
func TestVerifier(t *testing.T) {
	t.Parallel()
	const required = "authentication required"
	for name, tc := range map[string]struct {
		values  []string
		code    codes.Code
		message string
	}{
		"valid":          {[]string{"Bearer " + valid}, codes.OK, ""},
		"valid, past":    {[]string{"Bearer " + past}, codes.OK, ""},
		"scheme's case":  {[]string{"bEARER " + past}, codes.OK, ""},
		"first counts":   {[]string{"Bearer " + valid, "Bearer foo.bar"}, codes.OK, ""},
		"second ignored": {[]string{"x", "Bearer " + valid}, codes.Unauthenticated, required},
		"missing":        {nil, codes.Unauthenticated, required},
		"empty":          {[]string{""}, codes.Unauthenticated, required},
		"no token":       {[]string{"Bearer"}, codes.Unauthenticated, required},
		"two parts":      {[]string{"Bearer foo.bar"}, codes.Unauthenticated, required},
		"basic":          {[]string{"Basic " + valid}, codes.Unauthenticated, required},
		"not hex":        {[]string{"Bearer v2.xyz.1535671615"}, codes.Unauthenticated, required},
		"future": {
			[]string{"Bearer " + future},
			codes.PermissionDenied, "permission denied: token's validity window is in future",
		},
		"expired": {
			[]string{"Bearer " + expired},
			codes.PermissionDenied, "permission denied: token has expired",
		},
		"signature": {
			[]string{"Bearer " + forged},
			codes.PermissionDenied, "permission denied: wrong hmac signature",
		},
		"version": {
			[]string{"Bearer " + newer},
			codes.PermissionDenied, "permission denied: invalid token version",
		},
		"more dots": {
			[]string{"Bearer " + valid + ".1"},
			codes.PermissionDenied, "permission denied: wrong hmac signature",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, _ := start(t, auth.Config{Token: "foo", Now: vectorTime})
			ctx := metadata.NewOutgoingContext(t.Context(), metadata.MD{"authorization": tc.values})
			for _, got := range []*status.Status{unary(ctx, conn), stream(ctx, conn)} {
				require.Equal(t, tc.code, got.Code())
				require.Equal(t, tc.message, got.Message())
			}
		})
	}
}

// Requirements: T026
func TestHealthIsExempt(t *testing.T) {
	t.Parallel()
	conn, registry := start(t, auth.Config{Token: "foo", Now: vectorTime})
	client := grpc_health_v1.NewHealthClient(conn)
	_, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	require.NoError(t, err)
	watch, err := client.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	require.NoError(t, err)
	_, err = watch.Recv()
	require.NoError(t, err)
	count, err := testutil.GatherAndCount(registry)
	require.NoError(t, err)
	require.Zero(t, count)
}

// Requirements: T022
func TestPolicy(t *testing.T) {
	t.Parallel()
	wrong := "Bearer v2.00.1535671600"
	for name, tc := range map[string]struct {
		config  auth.Config
		code    codes.Code
		metrics string
	}{
		"no token": {
			auth.Config{},
			codes.OK,
			`gitaly_authentications_total{enforced="true",` +
				`status="server disabled authentication"} 3`,
		},
		"enforced": {
			auth.Config{Token: "foo", Now: vectorTime},
			codes.PermissionDenied,
			`gitaly_authentications_total{enforced="true",status="denied"} 1
gitaly_authentications_total{enforced="true",status="ok"} 1
gitaly_authentications_total{enforced="true",status="unauthenticated"} 1`,
		},
		"transitioning": {
			auth.Config{Token: "foo", Now: vectorTime, Transitioning: true},
			codes.OK,
			`gitaly_authentications_total{enforced="false",status="denied"} 1
gitaly_authentications_total{enforced="false",status="unauthenticated"} 1
gitaly_authentications_total{enforced="false",status="would be ok"} 1`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, registry := start(t, tc.config)
			with := func(value string) context.Context {
				return metadata.AppendToOutgoingContext(t.Context(), "authorization", value)
			}
			require.Equal(t, tc.code, unary(with(wrong), conn).Code())
			require.Equal(t, codes.OK, unary(with("Bearer "+valid), conn).Code())
			unary(t.Context(), conn)
			want := "# HELP gitaly_authentications_total " +
				"Calls by the result of their authentication.\n" +
				"# TYPE gitaly_authentications_total counter\n" + tc.metrics + "\n"
			require.NoError(t, testutil.GatherAndCompare(
				registry, strings.NewReader(want), "gitaly_authentications_total",
			))
		})
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	conn, registry := start(t, auth.Config{Token: "foo", Now: vectorTime})
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer v2.00.1")
	require.Equal(t, codes.PermissionDenied, unary(ctx, conn).Code())
	want := `# HELP gitaly_authentication_errors_total Failed authentications by reason.
# TYPE gitaly_authentication_errors_total counter
gitaly_authentication_errors_total{error="wrong hmac signature",version="v2"} 1
`
	require.NoError(t, testutil.GatherAndCompare(
		registry, strings.NewReader(want), "gitaly_authentication_errors_total",
	))
}

func TestRegisteredTwice(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	_, err := auth.New(registry, auth.Config{})
	require.NoError(t, err)
	_, err = auth.New(registry, auth.Config{})
	require.ErrorContains(t, err, "register metrics")
}

// Exactly 30 seconds either way are accepted, one more is not.
func TestCredentials(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		skew time.Duration
		code codes.Code
	}{
		{0, codes.OK},
		{30 * time.Second, codes.OK},
		{-30 * time.Second, codes.OK},
		{31 * time.Second, codes.PermissionDenied},
		{-31 * time.Second, codes.PermissionDenied},
	} {
		clock := func() time.Time { return vectorTime().Add(tc.skew) }
		conn, _ := start(t, auth.Config{Token: "foo", Now: vectorTime},
			grpc.WithPerRPCCredentials(auth.Credentials("foo", clock)))
		require.Equal(t, tc.code, unary(t.Context(), conn).Code(), "skew %s", tc.skew)
	}
}

func TestCredentialsChangeWithTheSecond(t *testing.T) {
	t.Parallel()
	now := vectorTime()
	credentials := auth.Credentials("foo", func() time.Time { return now })
	seen := map[string]int{}
	for range 3 {
		for range 2 {
			md, err := credentials.GetRequestMetadata(t.Context())
			require.NoError(t, err)
			seen[md["authorization"]]++
			now = now.Add(500 * time.Millisecond)
		}
	}
	require.Len(t, seen, 3)
}

func TestCredentialsOfToday(t *testing.T) {
	t.Parallel()
	conn, _ := start(t, auth.Config{Token: "secret"},
		grpc.WithPerRPCCredentials(auth.Credentials("secret", nil)))
	require.Equal(t, codes.OK, unary(t.Context(), conn).Code())
	require.Equal(t, codes.OK, stream(t.Context(), conn).Code())

	other, _ := start(t, auth.Config{Token: "secret"},
		grpc.WithPerRPCCredentials(auth.Credentials("", nil)))
	require.Equal(t, codes.PermissionDenied, unary(t.Context(), other).Code())
}
