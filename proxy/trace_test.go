package proxy_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/proxy/gitalypb"
	"praefect/proxy/tracing"
)

// spans keeps what a tracer has exported.
type spans struct {
	tracer *tracing.Tracer
	mu     sync.Mutex
	all    tracetest.SpanStubs
}

// ExportSpans implements the exporter.
func (s *spans) ExportSpans(_ context.Context, spans []sdk.ReadOnlySpan) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, tracetest.SpanStubsFromReadOnlySpans(spans)...)
	return nil
}

// Shutdown implements the exporter.
func (s *spans) Shutdown(context.Context) error { return nil }

func newSpans(t *testing.T) *spans {
	t.Helper()
	s := &spans{}
	var err error
	s.tracer, err = tracing.New(t.Context(), prometheus.NewRegistry(), zap.NewNop(), s,
		tracing.Config{SampleRatio: 0})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.tracer.Close()) })
	return s
}

// end waits for what goes on in the background and returns all spans.
func (s *spans) end(t *testing.T, c *cluster) tracetest.SpanStubs {
	t.Helper()
	require.NoError(t, c.server.Stop(t.Context()))
	require.NoError(t, c.relay.Close(t.Context()))
	require.NoError(t, s.tracer.Close())
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

// below lists the names of the spans below one, with the storage and what failed.
func below(all tracetest.SpanStubs, parent trace.SpanID) []string {
	var names []string
	for _, span := range all {
		if span.Parent.SpanID() == parent {
			names = append(names, described(span))
		}
	}
	slices.Sort(names)
	return names
}

func described(span tracetest.SpanStub) string {
	parts := []string{span.Name}
	if storage := attribute(span, "praefect.storage"); storage != "" {
		parts = append(parts, storage)
	}
	if span.Status.Description != "" {
		parts = append(parts, span.Status.Description)
	}
	return strings.Join(parts, " ")
}

func attribute(span tracetest.SpanStub, key string) string {
	for _, attribute := range span.Attributes {
		if string(attribute.Key) == key {
			return attribute.Value.String()
		}
	}
	return ""
}

const (
	traceOfClient = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanOfClient  = "00f067aa0ba902b7"
)

func traced(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx,
		"traceparent", "00-"+traceOfClient+"-"+spanOfClient+"-01", "tracestate", "a=b")
}

// TestWriteIsTraced finds in the client's trace the call, the calls to the three nodes, which are
// told of their spans, and below these the votes.
func TestWriteIsTraced(t *testing.T) {
	t.Parallel()
	s := newSpans(t)
	c := newCluster(t, func(settings *settings) { settings.tracer = s.tracer })
	c.onAll(createBranch, change("v"))
	_, err := gitalypb.NewOperationServiceClient(c.client).UserCreateBranch(
		traced(t.Context()), &gitalypb.UserCreateBranchRequest{Repository: target()})
	require.NoError(t, err)
	all := s.end(t, c)

	for _, span := range all {
		require.Equal(t, traceOfClient, span.SpanContext.TraceID().String(), span.Name)
		require.False(t, span.EndTime.Before(span.StartTime), span.Name)
	}
	const name = "gitaly.OperationService/UserCreateBranch"
	var servers, nodes tracetest.SpanStubs
	for _, span := range all {
		switch span.SpanKind {
		case trace.SpanKindServer:
			servers = append(servers, span)
		case trace.SpanKindClient:
			nodes = append(nodes, span)
		case trace.SpanKindUnspecified, trace.SpanKindInternal, trace.SpanKindProducer,
			trace.SpanKindConsumer:
		}
	}
	require.Len(t, servers, 1)
	require.Equal(t, spanOfClient, servers[0].Parent.SpanID().String())
	for key, want := range map[string]string{
		"praefect.outcome": "recorded", "praefect.primary": "node-1",
		"praefect.relative_path": relativePath, "rpc.grpc.status_code": "0",
	} {
		require.Equal(t, want, attribute(servers[0], key), key)
	}
	require.Equal(t, []string{
		"finish", name + " node-1", name + " node-2", name + " node-3", "record", "route", "turn",
	}, below(all, servers[0].SpanContext.SpanID()))
	require.Len(t, nodes, 3)
	for _, span := range nodes {
		storage := attribute(span, "praefect.storage")
		require.Equal(t, []string{
			"vote committed " + storage, "vote prepared " + storage, "vote preparing " + storage,
		}, below(all, span.SpanContext.SpanID()))
		seen := c.named(storage).metadata()
		require.Equal(t, []string{
			"00-" + traceOfClient + "-" + span.SpanContext.SpanID().String() + "-01",
		}, seen.Get("traceparent"))
		require.Equal(t, []string{"a=b"}, seen.Get("tracestate"))
	}
}

// TestReadIsTraced has a span for each replica that is asked.
func TestReadIsTraced(t *testing.T) {
	t.Parallel()
	s := newSpans(t)
	c := newCluster(t, func(settings *settings) { settings.tracer = s.tracer })
	c.onAll(refExists, unavailable)
	_, err := c.refExists(traced(t.Context()))
	require.Equal(t, codes.Unavailable, status.Code(err))
	all := s.end(t, c)
	require.Len(t, all, 4)
	for _, span := range all {
		if span.SpanKind == trace.SpanKindServer {
			require.Equal(t, []string{
				"gitaly.RefService/RefExists node-1 going down",
				"gitaly.RefService/RefExists node-2 going down",
				"gitaly.RefService/RefExists node-3 going down",
			}, below(all, span.SpanContext.SpanID()))
		}
	}
}

// TestUntraced passes on what the client says, as nobody here has anything to add.
func TestUntraced(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.onAll(refExists, answerRefExists)
	var trailer metadata.MD
	_, err := c.refExists(traced(t.Context()), grpc.Trailer(&trailer))
	require.NoError(t, err)
	seen := c.named(trailer.Get("storage")[0]).metadata()
	require.Equal(t, []string{"00-" + traceOfClient + "-" + spanOfClient + "-01"},
		seen.Get("traceparent"))
	require.Equal(t, []string{"a=b"}, seen.Get("tracestate"))
}
