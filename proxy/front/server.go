package front

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/keepalive"

	"praefect/proxy/auth"
	"praefect/proxy/backchannel"
)

const (
	// messageMax is the size of the largest message that is received. Clients and nodes have the same
	// limit, so a larger one would only fail later.
	messageMax = 4 << 20
	// pingMin is how often clients may ping; they are configured for twice this time.
	pingMin = 10 * time.Second
	// idlePing is after how much silence we ask whether the client is still there.
	idlePing = 5 * time.Minute
)

// Config tunes a [Server].
type Config struct {
	// Credentials secure the connections; nil means that they are not secured.
	Credentials credentials.TransportCredentials
	// Multiplexing bounds multiplexed connections.
	Multiplexing backchannel.Config
	// LatencyBuckets are those of the histogram of call durations, in seconds. Without them there is
	// no histogram.
	LatencyBuckets []float64
}

// Dependencies are what a [Server] is made of. All but Services are needed.
type Dependencies struct {
	// Codec passes relayed messages through and decodes those of services.
	Codec encoding.CodecV2
	// Relay handles every call that no service answers.
	Relay grpc.StreamHandler
	// Services register themselves; a method that they do not have goes to Relay.
	Services []func(grpc.ServiceRegistrar) error
	// Status turns the error of a handler into the status that the client gets.
	Status     func(ctx context.Context, err error) error
	Verifier   *auth.Verifier
	Peers      *backchannel.Peers
	Registerer prometheus.Registerer
}

// Server is the gRPC server that clients connect to, on plain and multiplexed connections alike.
type Server struct {
	grpc *grpc.Server
	mux  *backchannel.Server
}

// New returns a server that does not serve yet. It fails when metrics are registered already or a
// service cannot be registered.
func New(dependencies Dependencies, log *zap.Logger, config Config) (*Server, error) {
	inner := config.Credentials
	if inner == nil {
		inner = plain()
	}
	around, err := newAround(dependencies, log, config)
	if err != nil {
		return nil, err
	}
	mux := backchannel.NewServer(inner, dependencies.Peers, log, config.Multiplexing)
	options := append(mux.Options(),
		grpc.ForceServerCodecV2(dependencies.Codec),
		grpc.UnknownServiceHandler(dependencies.Relay),
		grpc.ChainStreamInterceptor(around.stream()...),
		grpc.ChainUnaryInterceptor(around.unary()...),
		grpc.MaxRecvMsgSize(messageMax),
		grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime: pingMin, PermitWithoutStream: true,
		}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: idlePing}),
	)
	server := &Server{grpc: grpc.NewServer(options...), mux: mux}
	for _, register := range dependencies.Services {
		if err := register(server.grpc); err != nil {
			return nil, fmt.Errorf("register services: %w", err)
		}
	}
	around.metrics.InitializeMetrics(server.grpc)
	return server, nil
}

// Serve accepts connections until [Server.Stop] is called, and returns nil then. It may be called
// for several listeners; each is closed when it returns.
func (s *Server) Serve(listener net.Listener) error {
	err := s.grpc.Serve(s.mux.Listener(listener))
	if err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	}
	return nil
}

// Stop closes the listeners and waits for the calls that run. When ctx ends first, they are cut off,
// and Stop returns the context's error after their handlers have returned.
func (s *Server) Stop(ctx context.Context) error {
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		s.grpc.GracefulStop()
	}()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		s.grpc.Stop()
		<-drained
		return fmt.Errorf("drain calls: %w", context.Cause(ctx))
	}
}

func newServerMetrics(registerer prometheus.Registerer, buckets []float64) (
	*grpcprom.ServerMetrics, error,
) {
	var options []grpcprom.ServerMetricsOption
	if len(buckets) > 0 {
		options = append(options, grpcprom.WithServerHandlingTimeHistogram(
			grpcprom.WithHistogramBuckets(buckets)))
	}
	metrics := grpcprom.NewServerMetrics(options...)
	if err := registerer.Register(metrics); err != nil {
		return nil, fmt.Errorf("register metrics of calls: %w", err)
	}
	return metrics, nil
}
