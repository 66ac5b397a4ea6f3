package front

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// healthService is not logged: probes come every second from everywhere.
const healthService = "grpc.health.v1.Health"

// line is the log line of one call, which whoever handles the call may add to.
type line struct {
	mu     sync.Mutex // guards fields
	fields []zap.Field
}

type lineKey struct{}

// AddFields adds to the log line of the call with ctx. Without a call it does nothing.
func AddFields(ctx context.Context, fields ...zap.Field) {
	if l, ok := ctx.Value(lineKey{}).(*line); ok {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.fields = append(l.fields, fields...)
	}
}

// taken takes the fields that were added.
func (l *line) taken() []zap.Field {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.fields)
}

func (a *around) accessStream(
	server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler,
) error {
	ctx, done := a.open(stream.Context(), info.FullMethod)
	err := handler(server, &streamWith{ServerStream: stream, ctx: ctx})
	done("streaming", err)
	return err
}

func (a *around) accessUnary(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) (any, error) {
	ctx, done := a.open(ctx, info.FullMethod)
	answer, err := handler(ctx, request)
	done("unary", err)
	return answer, err
}

// streamWith is a stream whose context carries more.
type streamWith struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // The interface of streams asks for it.
}

// Context returns the call's context.
func (s *streamWith) Context() context.Context { return s.ctx }

// open begins the log line of a call; the returned function writes it.
func (a *around) open(
	ctx context.Context, fullMethod string,
) (context.Context, func(kind string, err error)) {
	start := time.Now()
	l := &line{}
	ctx = context.WithValue(correlate(ctx), lineKey{}, l)
	return ctx, func(kind string, err error) {
		code := status.Code(err)
		service, method := split(fullMethod)
		if service == healthService && code == codes.OK {
			return
		}
		// Who reads logs looks for the message by kind of call and code.
		entry := a.log.Check(level(code), "finished "+kind+" call with code "+code.String())
		if entry == nil {
			return
		}
		fields := append(l.taken(),
			zap.String("correlation_id", CorrelationID(ctx)),
			zap.String("grpc.service", service),
			zap.String("grpc.method", method),
			zap.String("grpc.request.fullMethod", fullMethod),
			zap.String("grpc.code", code.String()),
			zap.Float64("grpc.time_ms", float64(time.Since(start).Microseconds())/1000),
			zap.String("system", "grpc"),
			zap.String("span.kind", "server"),
			zap.Error(err),
		)
		entry.Write(append(fields, aboutClient(ctx)...)...)
	}
}

// split takes /service/method apart.
func split(fullMethod string) (service, method string) {
	service, method, _ = strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	return service, method
}

// aboutClient is what the metadata and the connection tell about who calls.
func aboutClient(ctx context.Context) []zap.Field {
	var fields []zap.Field
	md, _ := metadata.FromIncomingContext(ctx)
	for _, known := range [...]struct{ key, field string }{
		{"remote_ip", "remote_ip"},
		{"user_id", "user_id"},
		{"username", "username"},
		{"client_name", "grpc.meta.client_name"},
		{"call_site", "grpc.meta.call_site"},
		{"deadline_type", "grpc.meta.deadline_type"},
	} {
		if values := md[known.key]; len(values) > 0 {
			fields = append(fields, zap.String(known.field, values[0]))
		}
	}
	if p, ok := peer.FromContext(ctx); ok {
		fields = append(fields, zap.Stringer("peer.address", p.Addr))
	}
	if deadline, ok := ctx.Deadline(); ok {
		fields = append(fields, zap.Time("grpc.request.deadline", deadline.UTC()))
	}
	return fields
}

// level is how much a code concerns an operator.
func level(code codes.Code) zapcore.Level {
	switch code {
	case codes.OK, codes.Canceled, codes.InvalidArgument, codes.NotFound, codes.AlreadyExists,
		codes.Unauthenticated:
		return zapcore.InfoLevel
	case codes.DeadlineExceeded, codes.PermissionDenied, codes.ResourceExhausted,
		codes.FailedPrecondition, codes.Aborted, codes.OutOfRange, codes.Unavailable:
		return zapcore.WarnLevel
	case codes.Unknown, codes.Unimplemented, codes.Internal, codes.DataLoss:
		return zapcore.ErrorLevel
	}
	return zapcore.ErrorLevel
}
