package proxy

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"praefect/proxy/gitalypb"
	"praefect/proxy/method"
	"praefect/proxy/telemetry"
	"praefect/proxy/tracing"
)

// visit is what is known of a call for its line in the log. It belongs to the goroutine that
// handles the call.
type visit struct {
	plain *zap.Logger
	// named is a logger with the fields of the method, nil if it is none that is known.
	named       *zap.Logger
	method      string
	kind        string
	begin       time.Time
	correlation string
	// incoming is the client's metadata, which must not be changed.
	incoming metadata.MD
	fields   []zap.Field
	// streaming says that the library took the call for a stream.
	streaming bool
	// received and sent are the bytes of the client's messages and of ours.
	received, sent int64
	// trace is nil when there is none.
	trace *tracing.Call
	// reported says that the failure of the call was reported already.
	reported bool
}

// depart ends the trace of the call, which has an id in the line.
func (v *visit) depart(err error) {
	if v.trace == nil {
		return
	}
	v.trace.Depart(err, append(slices.Clip(v.fields),
		zap.String("correlation_id", v.correlation))...)
	if id := v.trace.TraceID(); id != "" {
		v.add(zap.String("trace_id", id))
	}
}

// failure describes the call for those who look after failures.
func (v *visit) failure(code codes.Code, message string) telemetry.Failure {
	return telemetry.Failure{
		Method: v.method, Code: code, Message: message, Took: time.Since(v.begin),
		Correlation: v.correlation,
	}
}

// ending is how a call ended.
type ending struct {
	code    codes.Code
	message string
	err     error
}

// visitKey is the key under which the context of a call holds its *visit.
type visitKey struct{}

// enter begins a visit and returns the context of the call with it.
func enter(
	ctx context.Context, log *zap.Logger, method, kind string,
) (context.Context, *visit) {
	incoming := incomingOf(ctx)
	v := &visit{
		method: method, kind: kind, begin: time.Now(),
		correlation: correlationOf(incoming), incoming: incoming, plain: log,
	}
	return context.WithValue(ctx, visitKey{}, v), v
}

// visitFrom returns the visit of a call. One that did not come through a [Server] gets a visit
// whose lines go nowhere.
func visitFrom(ctx context.Context) *visit {
	if v, ok := ctx.Value(visitKey{}).(*visit); ok {
		return v
	}
	_, v := enter(ctx, zap.NewNop(), "", "")
	return v
}

// log returns a logger for what happens during the call. Most calls need none.
func (v *visit) log() *zap.Logger {
	return v.plain.With(zap.String("correlation_id", v.correlation))
}

// add adds fields to the line.
func (v *visit) add(fields ...zap.Field) { v.fields = append(v.fields, fields...) }

// leave writes the line. It borrows room for its fields, which are large and many.
func (v *visit) leave(ctx context.Context, room *sync.Pool, end ending) {
	log := v.named
	if log == nil {
		log = v.plain.Named(component(v.streaming)).With(called(v.method, v.kind)...)
	}
	line := log.Check(level(end.code), end.message)
	if line == nil {
		return
	}
	borrowed, _ := room.Get().(*[]zap.Field)
	if borrowed == nil {
		borrowed = new([]zap.Field)
	}
	fields := v.line(ctx, (*borrowed)[:0], end)
	line.Write(fields...)
	clear(fields)
	*borrowed = fields
	room.Put(borrowed)
}

// line appends the fields of the line.
func (v *visit) line(
	ctx context.Context, fields []zap.Field, end ending,
) []zap.Field {
	fields = append(fields, v.fields...)
	fields = append(fields,
		zap.String("correlation_id", v.correlation),
		zap.String("grpc.code", end.code.String()),
		zap.Time("grpc.start_time", v.begin.UTC()),
		zap.Float64("grpc.time_ms", float64(time.Since(v.begin))/float64(time.Millisecond)),
	)
	if deadline, ok := ctx.Deadline(); ok {
		fields = append(fields, zap.Time("grpc.request.deadline", deadline.UTC()))
	}
	if v.received > 0 {
		fields = append(fields, zap.Int64("grpc.request.payload_bytes", v.received))
	}
	if v.sent > 0 {
		fields = append(fields, zap.Int64("grpc.response.payload_bytes", v.sent))
	}
	if end.err != nil {
		fields = append(fields, zap.String("error", status.Convert(end.err).Message()))
	}
	return v.client(fields)
}

// called returns the fields that all calls of a method share.
func called(name, kind string) []zap.Field {
	fields := []zap.Field{
		zap.String("grpc.request.fullMethod", name), zap.String("grpc.meta.method_type", kind),
	}
	if service, called, ok := method.Split(name); ok {
		fields = append(fields,
			zap.String("grpc.service", service), zap.String("grpc.method", called))
	}
	return fields
}

// component is what the line of a call is from.
func component(streaming bool) string {
	if streaming {
		return "praefect.StreamServerInterceptor"
	}
	return "praefect.UnaryServerInterceptor"
}

// sizeOf returns the bytes of a decoded message.
func sizeOf(message any) int64 {
	if decoded, ok := message.(proto.Message); ok {
		return int64(proto.Size(decoded))
	}
	return 0
}

// client appends what clients tell about themselves.
func (v *visit) client(fields []zap.Field) []zap.Field {
	for _, from := range []struct{ key, field string }{
		{"call_site", "grpc.meta.call_site"},
		{"deadline_type", "grpc.meta.deadline_type"},
		{"remote_ip", "remote_ip"},
		{"user_id", "user_id"},
		{"username", "username"},
	} {
		if values := v.incoming[from.key]; len(values) > 0 && values[0] != "" {
			fields = append(fields, zap.String(from.field, values[0]))
		}
	}
	if name := clientName(v.incoming); name != unknown {
		fields = append(fields, zap.String("grpc.meta.client_name", name))
	}
	if version := authVersion(v.incoming); version != unknown {
		fields = append(fields, zap.String("grpc.meta.auth_version", version))
	}
	return fields
}

// about adds the repository of a request that was decoded, or the pool, or the storage.
func (v *visit) about(request any) {
	switch about := request.(type) {
	case interface{ GetRepository() *gitalypb.Repository }:
		v.aboutRepository(about.GetRepository())
	case interface{ GetObjectPool() *gitalypb.ObjectPool }:
		v.aboutPool(about.GetObjectPool().GetRepository())
	case interface{ GetStorageName() string }:
		v.addText("virtual_storage", about.GetStorageName())
		v.addText("grpc.request.StorageName", about.GetStorageName())
	}
}

func (v *visit) aboutRepository(repository *gitalypb.Repository) {
	v.addText("virtual_storage", repository.GetStorageName())
	v.addText("relative_path", repository.GetRelativePath())
	v.addText("grpc.request.repoStorage", repository.GetStorageName())
	v.addText("grpc.request.repoPath", repository.GetRelativePath())
	v.addText("grpc.request.glRepository", repository.GetGlRepository())
	v.addText("grpc.request.glProjectPath", repository.GetGlProjectPath())
}

func (v *visit) aboutPool(pool *gitalypb.Repository) {
	v.addText("virtual_storage", pool.GetStorageName())
	v.addText("relative_path", pool.GetRelativePath())
	v.addText("grpc.request.pool.storage", pool.GetStorageName())
	v.addText("grpc.request.pool.relativePath", pool.GetRelativePath())
	v.addText("grpc.request.pool.sourceProjectPath", pool.GetGlProjectPath())
}

// addText adds a field that has something to say.
func (v *visit) addText(key, text string) {
	if text != "" {
		v.add(zap.String(key, text))
	}
}

// level says how loud the end of a call is.
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
