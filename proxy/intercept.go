package proxy

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/coordinator"
	"praefect/proxy/method"
)

// around is what happens around every call: its line in the log, its status, panics.
type around struct {
	log      *zap.Logger
	methods  Methods
	statuses statuses
	panics   prometheus.Counter
	running  *prometheus.GaugeVec
}

// entered is a stream with the context of its visit.
type entered struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // it replaces the stream's
}

// Context returns the context of the call.
func (e *entered) Context() context.Context { return e.ctx }

// stream is the outermost interceptor of streams, and of all relayed calls.
func (a *around) stream(
	server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler,
) error {
	reserve(len(info.FullMethod))
	kind := kindOf(info.IsClientStream, info.IsServerStream)
	ctx, v := enter(stream.Context(), a.log, info.FullMethod, kind)
	gauge := a.running.WithLabelValues(kind)
	gauge.Inc()
	defer gauge.Dec()
	err := next(server, &entered{ServerStream: stream, ctx: ctx})
	v.leave(ctx, err)
	return err
}

// unary is the outermost interceptor of unary calls, all of which the proxy answers itself.
func (a *around) unary(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler,
) (any, error) {
	kind := kindOf(false, false)
	ctx, v := enter(ctx, a.log, info.FullMethod, kind)
	v.named(request)
	gauge := a.running.WithLabelValues(kind)
	gauge.Inc()
	defer gauge.Dec()
	response, err := next(ctx, request)
	v.leave(ctx, err)
	return response, err
}

// streamStatus turns what a handler returns, or panics with, into a status.
func (a *around) streamStatus(
	server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler,
) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = a.panicked(stream.Context(), value)
		}
	}()
	return a.statuses.of(stream.Context(), next(server, stream))
}

// unaryStatus does the same for unary calls.
func (a *around) unaryStatus(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler,
) (response any, err error) {
	defer func() {
		if value := recover(); value != nil {
			response, err = nil, a.panicked(ctx, value)
		}
	}()
	response, err = next(ctx, request)
	return response, a.statuses.of(ctx, a.concluded(ctx, info.FullMethod, err))
}

// concluded tells clients what became of a write that the proxy does itself: a removal. It is done
// with one change of the metadata, so that only their silence leaves it in doubt.
func (a *around) concluded(ctx context.Context, name string, err error) error {
	called, known := a.methods.Lookup(name)
	if !known || called.Operation != method.Mutator {
		return err
	}
	outcome := coordinator.OutcomeNone
	switch {
	case err == nil:
		outcome = coordinator.OutcomeRecorded
	case errors.Is(err, coordinator.ErrMetadataUnavailable):
		outcome = coordinator.OutcomeUnknown
		err = fmt.Errorf("%w: %w", coordinator.ErrOutcomeUnknown, err)
	}
	trailer := metadata.Pairs(OutcomeKey, outcome.String())
	if failed := grpc.SetTrailer(ctx, trailer); failed != nil {
		visitFrom(ctx).log().Warn("outcome is not sent", zap.Error(failed))
	}
	return err
}

// panicked counts a panic and tells of it. The other calls of the process go on.
func (a *around) panicked(ctx context.Context, value any) error {
	a.panics.Inc()
	visitFrom(ctx).log().Error("call panicked", zap.Any("panic", value),
		zap.ByteString("stack", debug.Stack()))
	return status.Errorf(codes.Internal, "panic: %v", value)
}

func kindOf(client, server bool) string {
	switch {
	case client && server:
		return "bidi_stream"
	case client:
		return "client_stream"
	case server:
		return "server_stream"
	default:
		return "unary"
	}
}

// reserved is a little more stack than a relayed call needs.
const reserved = 12 << 10

// reserve lets the goroutine of a call have its stack at once. A stack that grows is copied, and
// each of its frames is adjusted: done later, on top of all interceptors, that took a tenth of the
// time of a small read.
//
//go:noinline
func reserve(use int) byte {
	var stack [reserved]byte
	stack[use%reserved] = 1
	return stack[reserved/2]
}
