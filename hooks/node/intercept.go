package node

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// observer turns errors into what callers are told, survives panics, and logs one line a call.
type observer struct {
	log *zap.Logger
}

// unary is the interceptor for unary calls.
func (o observer) unary(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler,
) (response any, err error) {
	finish := o.start(ctx, info.FullMethod)
	defer func() { err = finish(err, recover()) }()

	return next(ctx, request)
}

// stream is the interceptor for streaming calls.
func (o observer) stream(
	server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler,
) (err error) {
	finish := o.start(stream.Context(), info.FullMethod)
	defer func() { err = finish(err, recover()) }()

	return next(server, stream)
}

// start returns what ends the call: it takes the result and what a panic left.
func (o observer) start(ctx context.Context, method string) func(error, any) error {
	began := time.Now()

	return func(err error, panicked any) error {
		if panicked != nil {
			o.log.Error("panic", zap.String("method", method), zap.Any("value", panicked),
				zap.ByteString("stack", debug.Stack()))
			err = failf(codes.Internal, "panic: %v", panicked)
		}

		told := statusOf(ctx, err)
		level := zap.DebugLevel
		if told != nil {
			level = zap.InfoLevel
		}
		// The log has what happened, the caller what concerns it.
		o.log.Log(level, "call", zap.String("method", method),
			zap.Stringer("code", status.Code(told)), zap.Duration("took", time.Since(began)),
			zap.Error(err))

		return told
	}
}

// streamWriter sends what is written to it as messages of a stream.
type streamWriter func(data []byte) error

// Write implements io.Writer.
func (w streamWriter) Write(data []byte) (int, error) {
	if err := w(data); err != nil {
		return 0, fmt.Errorf("send: %w", err)
	}

	return len(data), nil
}

// streamReader reads the data of a stream's messages.
type streamReader struct {
	receive func() ([]byte, error)
	rest    []byte
}

// Read implements io.Reader.
func (r *streamReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		data, err := r.receive()
		if err != nil {
			return 0, err // io.EOF stays what it is
		}
		r.rest = data
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]

	return n, nil
}
