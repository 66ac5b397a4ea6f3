package tracing

import (
	"context"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	// stepsMax bounds the spans of steps of one call: a push of many references votes on each.
	stepsMax = 256
	// textMax bounds what is kept of an error's text, in bytes.
	textMax = 1 << 10
)

// Call is a call of a client that is traced. A nil one is not.
type Call struct {
	tracer *Tracer
	span   trace.Span

	mu sync.Mutex // guards the fields below
	// nodes are the latest calls to each storage.
	nodes map[string]trace.SpanContext
	steps int
}

// callKey is the key under which the context of a call holds its *Call.
type callKey struct{}

// Arrive begins the span of a call, in the trace that the client's metadata name or else in a new
// one, and returns a context with which nodes are called in it.
func (t *Tracer) Arrive(
	ctx context.Context, method string, incoming metadata.MD,
) (context.Context, *Call) {
	if t == nil {
		return ctx, nil
	}
	ctx = t.propagator.Extract(ctx, carrier(incoming))
	ctx, span := t.tracer.Start(ctx, strings.TrimPrefix(method, "/"),
		trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(about(method)...))
	c := &Call{tracer: t, span: span}
	if span.IsRecording() {
		c.nodes = map[string]trace.SpanContext{}
	}
	return context.WithValue(ctx, callKey{}, c), c
}

func callFrom(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}

// about returns the attributes that all spans of a method have.
func about(method string) []attribute.KeyValue {
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	return []attribute.KeyValue{
		attribute.String("rpc.system", "grpc"), attribute.String("rpc.service", service),
		attribute.String("rpc.method", name),
	}
}

// recording tells whether the spans of the call are kept.
func (c *Call) recording() bool { return c != nil && c.nodes != nil }

// TraceID returns the id of the trace, empty when it is not kept.
func (c *Call) TraceID() string {
	if !c.recording() {
		return ""
	}
	return c.span.SpanContext().TraceID().String()
}

// Depart ends the span of the call, with what the client was told and what else is known.
func (c *Call) Depart(err error, known ...zap.Field) {
	if !c.recording() {
		return
	}
	c.span.SetAttributes(attributes(known)...)
	code := status.Code(err)
	c.span.SetAttributes(attribute.Int("rpc.grpc.status_code", int(code)))
	if serious(code) {
		c.span.SetStatus(otelcodes.Error, text(err))
	}
	c.span.End()
}

// serious tells whether a call that a server ends so counts as an error of the server: the others
// are answers to what clients asked for.
func serious(code codes.Code) bool {
	switch code {
	case codes.Unknown, codes.DeadlineExceeded, codes.Unimplemented, codes.Internal,
		codes.Unavailable, codes.DataLoss:
		return true
	case codes.OK, codes.Canceled, codes.InvalidArgument, codes.NotFound, codes.AlreadyExists,
		codes.PermissionDenied, codes.ResourceExhausted, codes.FailedPrecondition, codes.Aborted,
		codes.OutOfRange, codes.Unauthenticated:
		return false
	}
	return true
}

// Now returns the time for [Call.Step], or no time when nobody wants to know.
func (c *Call) Now() (now time.Time) {
	if c.recording() {
		now = time.Now()
	}
	return now
}

// Step makes the span of a part of the call that ends now.
func (c *Call) Step(name string, begun time.Time, err error) {
	if !c.recording() {
		return
	}
	c.step(c.span.SpanContext(), name, begun, func(span trace.Span) { fail(span, err) })
}

// step makes a span below another one, unless the call has too many.
func (c *Call) step(
	below trace.SpanContext, name string, begun time.Time, describe func(trace.Span),
) {
	c.mu.Lock()
	c.steps++
	many := c.steps > stepsMax
	c.mu.Unlock()
	if many {
		c.tracer.leftOut.Inc()
		return
	}
	ctx := trace.ContextWithSpanContext(context.Background(), below)
	_, span := c.tracer.tracer.Start(ctx, name, trace.WithTimestamp(begun))
	describe(span)
	span.End()
}

// calls notes the call to a node.
func (c *Call) calls(storage string, span trace.SpanContext) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[storage] = span
}

// of returns the call to a node or, if it has none, the client's.
func (c *Call) of(storage string) trace.SpanContext {
	c.mu.Lock()
	defer c.mu.Unlock()
	if span, ok := c.nodes[storage]; ok {
		return span
	}
	return c.span.SpanContext()
}

// fail marks a span if there is an error.
func fail(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(otelcodes.Error, text(err))
	}
}

// text returns what an error says, within bounds.
func text(err error) string {
	said := status.Convert(err).Message()
	return legible(said[:min(len(said), textMax)])
}

// legible makes text of any bytes: spans are exported many together, and not one of them if
// something is no UTF-8.
func legible(said string) string { return strings.ToValidUTF8(said, "?") }
