package proxy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"praefect/coordinator"
	"praefect/proxy/auth"
	"praefect/proxy/gitalypb"
)

func TestServerAdmitsByToken(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.onAll(refExists, answerRefExists)
	plain := insecure.NewCredentials()
	tests := map[string]struct {
		options []grpc.DialOption
		code    codes.Code
		text    string
	}{
		"no token": {code: codes.Unauthenticated, text: "authentication required"},
		"wrong token": {
			options: []grpc.DialOption{grpc.WithPerRPCCredentials(auth.Credentials("no", nil))},
			code:    codes.PermissionDenied, text: "permission denied: wrong hmac signature",
		},
		"right token": {
			options: []grpc.DialOption{grpc.WithPerRPCCredentials(auth.Credentials(secret, nil))},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := c.dialPlain(append(tc.options, grpc.WithTransportCredentials(plain))...)
			for _, call := range []func() error{
				func() error {
					return request(refExists, &gitalypb.RefExistsRequest{
						Repository: target(),
					})(t.Context(), conn)
				},
				func() error { return listServices(t.Context(), conn) },
			} {
				err := call()
				require.Equal(t, tc.code, status.Code(err))
				require.Equal(t, tc.text, status.Convert(err).Message())
			}
			_, err := healthpb.NewHealthClient(conn).Check(
				t.Context(), &healthpb.HealthCheckRequest{})
			require.NoError(t, err, "health needs no token")
		})
	}
}

// TestServerDescribesWhatItRelays lets tools find relayed services too, with their messages.
func TestServerDescribesWhatItRelays(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	client := reflectionpb.NewServerReflectionClient(c.client)
	stream, err := client.ServerReflectionInfo(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{ListServices: "*"},
	}))
	answer, err := stream.Recv()
	require.NoError(t, err)
	var names []string
	for _, service := range answer.GetListServicesResponse().GetService() {
		names = append(names, service.GetName())
	}
	require.Subset(t, names, []string{
		"gitaly.RefService", "gitaly.ServerService", "gitaly.RefTransaction",
		"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
		"grpc.reflection.v1alpha.ServerReflection",
	})
	require.NoError(t, stream.Send(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{
			FileContainingSymbol: "gitaly.RefService.FindBranch",
		},
	}))
	answer, err = stream.Recv()
	require.NoError(t, err)
	require.NotEmpty(t, answer.GetFileDescriptorResponse().GetFileDescriptorProto())
	require.NoError(t, stream.CloseSend())
}

// listServices asks for reflection. A refusal may arrive before the question was sent: sending then
// meets the end of the stream, and receiving tells why.
func listServices(ctx context.Context, conn *grpc.ClientConn) error {
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		return err
	}
	err = stream.Send(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{ListServices: "*"},
	})
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	_, err = stream.Recv()
	return err
}

func TestServerHealthFollowsReadiness(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	client := healthpb.NewHealthClient(c.client)
	watch, err := client.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	for _, ready := range []bool{true, false, true} {
		c.notReady.Store(!ready)
		want := healthpb.HealthCheckResponse_NOT_SERVING
		if ready {
			want = healthpb.HealthCheckResponse_SERVING
		}
		answer, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{})
		require.NoError(t, err)
		require.Equal(t, want, answer.GetStatus())
		all, err := client.List(t.Context(), &healthpb.HealthListRequest{})
		require.NoError(t, err)
		require.Equal(t, want, all.GetStatuses()[""].GetStatus())
		seen, err := watch.Recv()
		require.NoError(t, err)
		require.Equal(t, want, seen.GetStatus())
	}
	_, err = client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "other"})
	require.Equal(t, codes.NotFound, status.Code(err))
}

// broken is a service of the proxy's own whose handler panics.
type broken struct {
	gitalypb.UnimplementedServerServiceServer
}

func (broken) ServerInfo(
	context.Context, *gitalypb.ServerInfoRequest,
) (*gitalypb.ServerInfoResponse, error) {
	panic("oh no")
}

// removals is a service of the proxy's own that removes repositories, or fails to.
type removals struct {
	gitalypb.UnimplementedRepositoryServiceServer
	err error
}

func (r removals) RemoveRepository(
	context.Context, *gitalypb.RemoveRepositoryRequest,
) (*gitalypb.RemoveRepositoryResponse, error) {
	return &gitalypb.RemoveRepositoryResponse{}, r.err
}

func TestServerTellsTheOutcomeOfItsOwnWrites(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err     error
		code    codes.Code
		outcome string
	}{
		"removed": {code: codes.OK, outcome: "recorded"},
		"not there": {
			err: status.Error(codes.NotFound, "x"), code: codes.NotFound, outcome: "none",
		},
		"busy": {err: coordinator.ErrBusy, code: codes.Unavailable, outcome: "none"},
		"in doubt": {
			err: coordinator.ErrMetadataUnavailable, code: codes.Internal, outcome: "unknown",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, func(s *settings) {
				s.native = func(registrar grpc.ServiceRegistrar) error {
					gitalypb.RegisterRepositoryServiceServer(registrar, removals{err: tc.err})
					return nil
				}
			})
			var trailer metadata.MD
			_, err := gitalypb.NewRepositoryServiceClient(c.client).RemoveRepository(
				t.Context(), &gitalypb.RemoveRepositoryRequest{}, grpc.Trailer(&trailer))
			require.Equal(t, tc.code, status.Code(err))
			require.Equal(t, []string{tc.outcome}, trailer.Get("praefect-outcome"))
		})
	}
}

// TestServerSurvivesAPanic counts the panic and reports it once, with where it was.
func TestServerSurvivesAPanic(t *testing.T) {
	t.Parallel()
	reports, received := reportsTo(t)
	c := newCluster(t, func(s *settings) {
		s.reports = reports
		s.native = func(registrar grpc.ServiceRegistrar) error {
			gitalypb.RegisterServerServiceServer(registrar, broken{})
			return nil
		}
	})
	c.onAll(refExists, answerRefExists)
	_, err := gitalypb.NewServerServiceClient(c.client).ServerInfo(
		t.Context(), &gitalypb.ServerInfoRequest{})
	require.Equal(t, codes.Internal, status.Code(err))
	require.Equal(t, "panic: oh no", status.Convert(err).Message())
	require.NoError(t, reports.Close())
	require.Len(t, received, 1)
	report := <-received
	for _, part := range []string{
		"panic: oh no", `"panic":"1"`, "/gitaly.ServerService/ServerInfo", "server_test.go",
	} {
		require.Contains(t, report, part)
	}
	_, err = c.refExists(t.Context())
	require.NoError(t, err)
	const panics = "gitaly_praefect_panics_total"
	require.NoError(t, testutil.GatherAndCompare(c.metrics, strings.NewReader(
		"# HELP "+panics+" Calls that ended in a panic\n"+
			"# TYPE "+panics+" counter\n"+panics+" 1\n"), panics))
}

// TestServerSurvivesAnyName calls a method whose name is no text.
func TestServerSurvivesAnyName(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.onAll(refExists, answerRefExists)
	err := c.client.Invoke(t.Context(), "/nonsense.Service/\xff", extraRequest(),
		&gitalypb.RefExistsResponse{})
	require.Equal(t, codes.Unimplemented, status.Code(err))
	_, err = c.refExists(t.Context())
	require.NoError(t, err)
}

func TestServerMetrics(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.onAll(refExists, answerRefExists)
	_, err := c.refExists(t.Context())
	require.NoError(t, err)
	for _, name := range []string{
		"grpc_server_started_total", "grpc_server_handled_total",
		"grpc_server_handling_seconds", "grpc_server_msg_sent_total",
		"gitaly_praefect_connections_total", "gitaly_praefect_method_types",
		"gitaly_praefect_relayed_bytes_total", "gitaly_praefect_calls_in_flight",
		"gitaly_authentications_total", "gitaly_praefect_read_distribution",
	} {
		require.EventuallyWithT(t, func(collect *assert.CollectT) {
			count, err := testutil.GatherAndCount(c.metrics, name)
			assert.NoError(collect, err)
			assert.Positive(collect, count, name)
		}, patience, patience/1000)
	}
}

func TestServerStopsInSpiteOfSilentConnections(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.onAll(refExists, answerRefExists)
	_, err := c.refExists(t.Context())
	require.NoError(t, err)
	var dialer net.Dialer
	silent, err := dialer.DialContext(t.Context(), "tcp", c.address)
	require.NoError(t, err)
	defer silent.Close() //nolint:errcheck // the test is over
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	begin := time.Now()
	require.NoError(t, c.server.Stop(ctx))
	require.Less(t, time.Since(begin), 3*time.Second)
	_, err = silent.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}

func TestServerFinishesCallsBeforeItStops(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	c.onAll(refExists, func(v *visit) error {
		arrived <- struct{}{}
		<-release
		return answerRefExists(v)
	})
	answered := make(chan error, 1)
	go func() {
		_, err := c.refExists(t.Context())
		answered <- err
	}()
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- c.server.Stop(t.Context()) }()
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), "tcp", c.address)
		if assert.Error(collect, err, "the listener is closed") {
			return
		}
		_ = conn.Close()
	}, patience, patience/1000)
	require.Eventually(t, func() bool { return c.client.GetState() != connectivity.Ready },
		patience, patience/1000, "GOAWAY sends the client elsewhere, although its call goes on")
	close(release)
	require.NoError(t, <-answered)
	require.NoError(t, <-stopped)
}

func TestServerCutsClientsOffWhenTimeIsOver(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	arrived := make(chan struct{}, 1)
	c.onAll(refExists, func(v *visit) error {
		arrived <- struct{}{}
		<-v.Context().Done()
		return v.Context().Err()
	})
	answered := make(chan error, 1)
	go func() {
		_, err := c.refExists(t.Context())
		answered <- err
	}()
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, c.server.Stop(ctx), context.DeadlineExceeded)
	require.Equal(t, codes.Unavailable, status.Code(<-answered))
}
