package front

import (
	"context"
	"fmt"
	"runtime/debug"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"praefect/proxy/auth"
)

// around is what happens around every call.
type around struct {
	log      *zap.Logger
	metrics  *grpcprom.ServerMetrics
	panics   prometheus.Counter
	status   func(ctx context.Context, err error) error
	verifier *auth.Verifier
}

func newAround(dependencies Dependencies, log *zap.Logger, config Config) (*around, error) {
	metrics, err := newServerMetrics(dependencies.Registerer, config.LatencyBuckets)
	if err != nil {
		return nil, err
	}
	panics := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "gitaly_praefect_panics_total",
		Help: "Number of calls whose handler panicked",
	})
	if err := dependencies.Registerer.Register(panics); err != nil {
		return nil, fmt.Errorf("register counter of panics: %w", err)
	}
	return &around{
		log: log, metrics: metrics, panics: panics,
		status: dependencies.Status, verifier: dependencies.Verifier,
	}, nil
}

func (a *around) stream() []grpc.StreamServerInterceptor {
	return []grpc.StreamServerInterceptor{
		a.metrics.StreamServerInterceptor(),
		a.accessStream,
		a.statusStream,
		recovery.StreamServerInterceptor(recovery.WithRecoveryHandlerContext(a.recovered)),
		a.verifier.Stream,
	}
}

func (a *around) unary() []grpc.UnaryServerInterceptor {
	return []grpc.UnaryServerInterceptor{
		a.metrics.UnaryServerInterceptor(),
		a.accessUnary,
		a.statusUnary,
		recovery.UnaryServerInterceptor(recovery.WithRecoveryHandlerContext(a.recovered)),
		a.verifier.Unary,
	}
}

// recovered turns a panic into an error. The stack is for us, not for the client.
func (a *around) recovered(_ context.Context, cause any) error {
	a.panics.Inc()
	a.log.Error("call panicked", zap.Any("panic", cause), zap.ByteString("stack", debug.Stack()))
	return status.Errorf(codes.Internal, "panic: %v", cause)
}

func (a *around) statusStream(
	server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler,
) error {
	if err := handler(server, stream); err != nil {
		return a.status(stream.Context(), err)
	}
	return nil
}

func (a *around) statusUnary(
	ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	answer, err := handler(ctx, request)
	if err != nil {
		return nil, a.status(ctx, err)
	}
	return answer, nil
}

func plain() credentials.TransportCredentials { return insecure.NewCredentials() }
