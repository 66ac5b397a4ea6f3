package proxy

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/coordinator"
	"praefect/proxy/method"
	"praefect/proxy/relay"
	"praefect/proxy/telemetry"
	"praefect/proxy/tracing"
)

// around is what happens around every call: its line in the log, its status, panics.
type around struct {
	log      *zap.Logger
	methods  Methods
	statuses statuses
	panics   prometheus.Counter
	// pins go with what the proxy's own services ask nodes for a client.
	pins    []pin
	running *prometheus.GaugeVec
	filter  LogFilter
	// tracer and reports may be nil.
	tracer   *tracing.Tracer
	reports  *telemetry.Sentry
	messages messages
	// requests counts calls by what clients say about themselves.
	requests *requestCounts
	// kinds are the members of running by kind of call. None is there before its first call.
	kinds map[string]func() prometheus.Gauge
	// named are the loggers of relayed methods, by their names. The fields that all calls of one
	// share are encoded once.
	named map[string]*zap.Logger
	// room is what the lines of calls are put together in.
	room sync.Pool
}

// entered is a stream with the context of its visit. When the server answers once, it keeps the
// answer until all work around the call is done, so that answer and status leave together: in one
// system call and one packet instead of two.
type entered struct {
	grpc.ServerStream
	ctx  context.Context //nolint:containedctx // it replaces the stream's
	once bool
	held *relay.Frame
	// received and sent count the bytes of relayed messages. Both directions may be under way.
	received, sent atomic.Int64
}

// RecvMsg receives a message.
func (e *entered) RecvMsg(message any) error {
	err := e.ServerStream.RecvMsg(message)
	if frame, relayed := message.(*relay.Frame); relayed && err == nil {
		e.received.Add(int64(frame.Len()))
	}
	return err //nolint:wrapcheck // a status, or io.EOF
}

// Context returns the context of the call.
func (e *entered) Context() context.Context { return e.ctx }

// SendMsg sends a message, or keeps a reference to it. A client that has gone away meanwhile is
// noticed as late as with any message that is only queued.
func (e *entered) SendMsg(message any) error {
	frame, relayed := message.(*relay.Frame)
	if relayed {
		e.sent.Add(int64(frame.Len()))
	}
	if !e.once || !relayed {
		return e.ServerStream.SendMsg(message) //nolint:wrapcheck // a status
	}
	// A node that answers more often than it may is not hidden from the client.
	err := e.release()
	held := frame.Share()
	e.held = &held
	return err
}

// release sends what was kept.
func (e *entered) release() error {
	if e.held == nil {
		return nil
	}
	defer e.held.Free()
	return e.ServerStream.SendMsg(e.held) //nolint:wrapcheck // a status
}

// finish sends what was kept, unless the call failed, and returns what the call ends with.
func (e *entered) finish(a *around, failed error) (err error) {
	if failed != nil {
		if e.held != nil {
			e.held.Free()
		}
		return failed
	}
	defer func() {
		if value := recover(); value != nil {
			err = a.panicked(e.ctx, value)
		}
	}()
	return e.release()
}

// enter begins a visit, and a trace of it if there is to be a line of it.
func (a *around) enter(ctx context.Context, name, kind string) (context.Context, *visit) {
	ctx, v := enter(ctx, a.log, name, kind)
	if a.tracer != nil && a.filter.logs(name) {
		ctx, v.trace = a.tracer.Arrive(ctx, name, v.incoming)
	}
	return ctx, v
}

// stream is the outermost interceptor of streams, and of all relayed calls.
func (a *around) stream(
	server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler,
) error {
	// The name is the client's to choose, and becomes a label.
	info.FullMethod = legible(info.FullMethod)
	called, known := a.methods.Lookup(info.FullMethod)
	kind := method.StreamType(info.IsClientStream, info.IsServerStream)
	if known {
		// The library takes every relayed call for one in which both sides stream.
		kind = method.StreamType(called.ClientStream, called.ServerStream)
	}
	ctx, v := a.enter(stream.Context(), info.FullMethod, kind)
	v.named, v.streaming = a.named[info.FullMethod], true
	gauge := a.kinds[kind]()
	gauge.Inc()
	defer gauge.Dec()
	e := &entered{ServerStream: stream, ctx: ctx, once: known && !called.ServerStream}
	err := next(server, e)
	v.received, v.sent = e.received.Load(), e.sent.Load()
	a.leave(ctx, v, err)
	return e.finish(a, err)
}

// unary is the outermost interceptor of unary calls, all of which the proxy answers itself.
func (a *around) unary(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler,
) (any, error) {
	kind := method.StreamType(false, false)
	ctx, v := a.enter(ctx, info.FullMethod, kind)
	// Nodes that are asked for this client are told what it told us.
	ctx = metadata.NewOutgoingContext(ctx, v.carried(a.pins))
	v.about(request)
	gauge := a.kinds[kind]()
	gauge.Inc()
	defer gauge.Dec()
	response, err := next(ctx, request)
	v.received, v.sent = sizeOf(request), sizeOf(response)
	a.leave(ctx, v, err)
	return response, err
}

// leave counts and tells of a call that has ended.
func (a *around) leave(ctx context.Context, v *visit, err error) {
	code := status.Code(err)
	_, hasDeadline := ctx.Deadline()
	a.requests.count(v, hasDeadline, code)
	if a.reports != nil && telemetry.Reported(code) && !v.reported {
		a.reports.Report(v.failure(code, status.Convert(err).Message()))
	}
	v.depart(err)
	if !a.filter.logs(v.method) {
		return
	}
	v.leave(ctx, &a.room, ending{code, a.messages.of(v.streaming, code), err})
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
	v := visitFrom(ctx)
	v.log().Error("call panicked", zap.Any("panic", value), zap.ByteString("stack", debug.Stack()))
	said := status.Newf(codes.Internal, "panic: %v", value)
	failure := v.failure(said.Code(), said.Message())
	failure.Panic = true
	a.reports.Report(failure)
	v.reported = true
	return said.Err()
}
