package tracing

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// node makes the spans of calls to one node.
type node struct {
	tracer  *Tracer
	storage string
	who     []attribute.KeyValue
}

// DialOptions makes connections to a node have a span for each call that is made for a client whose
// call is traced. Of a nil tracer there are none.
func (t *Tracer) DialOptions(virtualStorage, storage string) []grpc.DialOption {
	if t == nil {
		return nil
	}
	n := &node{tracer: t, storage: storage, who: []attribute.KeyValue{
		attribute.String("praefect.virtual_storage", virtualStorage),
		attribute.String("praefect.storage", storage),
	}}
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(n.unary), grpc.WithChainStreamInterceptor(n.stream),
	}
}

//nolint:revive // The signature is the library's.
func (n *node) unary(
	ctx context.Context, name string, request, reply any, conn *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	c := callFrom(ctx)
	if c == nil {
		return invoke(ctx, name, request, reply, conn, options...)
	}
	ctx, span := n.begin(ctx, c, name)
	err := invoke(ctx, name, request, reply, conn, options...)
	end(span, err)
	return err
}

//nolint:revive // The signature is the library's.
func (n *node) stream(
	ctx context.Context, description *grpc.StreamDesc, conn *grpc.ClientConn, name string,
	open grpc.Streamer, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	c := callFrom(ctx)
	if c == nil {
		return open(ctx, description, conn, name, options...)
	}
	ctx, span := n.begin(ctx, c, name)
	stream, err := open(ctx, description, conn, name, options...)
	if err != nil {
		end(span, err)
		return nil, err
	}
	if !span.IsRecording() {
		return stream, nil
	}
	t := &traced{ClientStream: stream, span: span, once: !description.ServerStreams}
	// Whoever gives a stream up need not receive its end, but its context ends.
	t.forget = context.AfterFunc(ctx, func() { t.over(status.FromContextError(ctx.Err()).Err()) })
	return t, nil
}

// begin begins the span of a call to the node.
func (n *node) begin(
	ctx context.Context, c *Call, name string,
) (context.Context, trace.Span) {
	if !c.recording() {
		return n.tracer.inject(ctx), c.span
	}
	//nolint:spancheck // The caller ends it.
	ctx, span := n.tracer.tracer.Start(ctx, strings.TrimPrefix(name, "/"),
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(n.who...),
		trace.WithAttributes(about(name)...))
	c.calls(n.storage, span.SpanContext())
	return n.tracer.inject(ctx), span //nolint:spancheck // The caller ends it.
}

// end ends the span of a call to a node with its status.
func end(span trace.Span, err error) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.Int("rpc.grpc.status_code", int(status.Code(err))))
	if err != nil {
		span.SetStatus(otelcodes.Error, text(err))
	}
	span.End()
}

// traced is a stream whose end is that of a span.
type traced struct {
	grpc.ClientStream

	span trace.Span
	// once says that the node answers once, after which nobody receives again.
	once   bool
	forget func() bool
	ended  sync.Once
}

// RecvMsg implements grpc.ClientStream.
func (t *traced) RecvMsg(message any) error {
	err := t.ClientStream.RecvMsg(message)
	switch {
	case err == nil && !t.once:
		return nil
	case errors.Is(err, io.EOF):
		t.over(nil)
	default:
		t.over(err)
	}
	t.forget()
	return err //nolint:wrapcheck // a status
}

func (t *traced) over(err error) { t.ended.Do(func() { end(t.span, err) }) }
