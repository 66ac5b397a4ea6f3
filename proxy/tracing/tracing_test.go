package tracing_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"praefect/proxy/tracing"
	"praefect/transaction"
	"praefect/transaction/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is where spans go in tests. With hold it exports none until that is closed, or somebody
// loses patience; with fail it refuses them.
type recorder struct {
	mu    sync.Mutex
	spans tracetest.SpanStubs
	hold  chan struct{}
	fail  error
}

func (r *recorder) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if r.hold != nil {
		select {
		case <-r.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spans = append(r.spans, tracetest.SpanStubsFromReadOnlySpans(spans)...)
	return r.fail
}

func (r *recorder) Shutdown(context.Context) error { return nil }

// named returns the only span of that name.
func (r *recorder) named(t *testing.T, name string) tracetest.SpanStub {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []tracetest.SpanStub
	for _, span := range r.spans {
		if span.Name == name {
			found = append(found, span)
		}
	}
	require.Len(t, found, 1, name)
	return found[0]
}

type rig struct {
	*tracing.Tracer
	metrics *prometheus.Registry
	logged  *observer.ObservedLogs
}

func newRig(t *testing.T, to sdk.SpanExporter, ratio float64) *rig {
	t.Helper()
	core, logged := observer.New(zap.InfoLevel)
	metrics := prometheus.NewRegistry()
	tracer, err := tracing.New(t.Context(), metrics, zap.New(core), to,
		tracing.Config{SampleRatio: ratio, Version: "v1"})
	require.NoError(t, err)
	return &rig{Tracer: tracer, metrics: metrics, logged: logged}
}

func (r *rig) counted(t *testing.T, result string) float64 {
	t.Helper()
	families, err := r.metrics.Gather()
	require.NoError(t, err)
	for _, metric := range families[0].GetMetric() {
		if metric.GetLabel()[0].GetValue() == result {
			return metric.GetCounter().GetValue()
		}
	}
	require.Fail(t, "no such result", result)
	return 0
}

const (
	method  = "/gitaly.RefService/RefExists"
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	kept    = "00-" + traceID + "-00f067aa0ba902b7-01"
	unkept  = "00-" + traceID + "-00f067aa0ba902b7-00"
)

func TestCallOfATrace(t *testing.T) {
	t.Parallel()
	to := &recorder{}
	r := newRig(t, to, 0)
	_, call := r.Arrive(t.Context(), method, metadata.Pairs(
		"traceparent", kept, "tracestate", "vendor=value"))
	require.Equal(t, traceID, call.TraceID())
	call.Step("route", call.Now(), nil)
	call.Observer().Voted(time.Now(), registry.Voted{
		Voter: "a", Phase: transaction.Prepared, Decision: transaction.Abort,
	})
	call.Observer().Voted(time.Now(), registry.Voted{
		Voter: "a", Phase: transaction.Committed, Err: context.Canceled,
	})
	call.Observer().Waited(time.Now(), errors.New("busy"))
	call.Observer().Recorded(time.Now(), nil)
	call.Depart(status.Error(codes.Internal, "broken"), zap.String("storage", "a"),
		zap.Uint64("transaction_id", 7))
	require.NoError(t, r.Close())

	root := to.named(t, "gitaly.RefService/RefExists")
	require.Equal(t, traceID, root.SpanContext.TraceID().String())
	require.Equal(t, "00f067aa0ba902b7", root.Parent.SpanID().String())
	require.Equal(t, "vendor=value", root.SpanContext.TraceState().String())
	require.Equal(t, "broken", root.Status.Description)
	attributes := map[string]any{}
	for _, attribute := range root.Attributes {
		attributes[string(attribute.Key)] = attribute.Value.AsInterface()
	}
	require.Equal(t, map[string]any{
		"rpc.system": "grpc", "rpc.service": "gitaly.RefService", "rpc.method": "RefExists",
		"rpc.grpc.status_code": int64(13), "praefect.storage": "a",
		"praefect.transaction_id": int64(7),
	}, attributes)
	for name, said := range map[string]string{
		"route": "", "vote prepared": transaction.Abort.String(),
		"vote committed": "context canceled", "turn": "busy", "record": "",
	} {
		step := to.named(t, name)
		require.Equal(t, root.SpanContext.SpanID(), step.Parent.SpanID(), name)
		require.Equal(t, said, step.Status.Description, name)
	}
	require.InDelta(t, 6, r.counted(t, "exported"), 0)
	resource := root.Resource.String()
	require.Contains(t, resource, "service.name=praefect")
	require.Contains(t, resource, "service.version=v1")
}

// TestSampling keeps what clients want to be kept, and of the rest as much as is configured.
func TestSampling(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ratio  float64
		parent []string
		kept   bool
	}{
		"client keeps":               {ratio: 0, parent: []string{kept}, kept: true},
		"client does not keep":       {ratio: 1, parent: []string{unkept}},
		"begins here":                {ratio: 1, kept: true},
		"begins here, nothing kept":  {ratio: 0},
		"nonsense is no parent":      {ratio: 0, parent: []string{"00-1-2-01"}},
		"two parents are no parents": {ratio: 0, parent: []string{kept, kept}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := &recorder{}
			r := newRig(t, to, tc.ratio)
			_, call := r.Arrive(t.Context(), method, metadata.MD{"traceparent": tc.parent})
			require.Equal(t, tc.kept, call.TraceID() != "")
			require.Equal(t, tc.kept, call.Observer() != nil)
			call.Step("route", call.Now(), nil)
			call.Depart(nil)
			require.NoError(t, r.Close())
			require.Equal(t, tc.kept, len(to.spans) == 2)
		})
	}
}

// TestBounds drops and counts what cannot be exported in time, and makes nobody wait for it.
func TestBounds(t *testing.T) {
	t.Parallel()
	to := &recorder{hold: make(chan struct{})}
	r := newRig(t, to, 1)
	const many = 10_000
	for range many {
		_, call := r.Arrive(t.Context(), method, nil)
		call.Depart(nil)
	}
	require.InDelta(t, many-4096, r.counted(t, "dropped"), 0)
	begun := time.Now()
	require.NoError(t, r.Close())
	require.Less(t, time.Since(begun), 9*time.Second, "two are the bound")
	require.Equal(t, "last spans are not exported", r.logged.All()[0].Message)
	close(to.hold)
}

// TestManySteps bounds what a single call may bring.
func TestManySteps(t *testing.T) {
	t.Parallel()
	to := &recorder{}
	r := newRig(t, to, 1)
	_, call := r.Arrive(t.Context(), method, nil)
	for range 300 {
		call.Step("vote", call.Now(), nil)
	}
	call.Depart(nil)
	require.NoError(t, r.Close())
	require.Len(t, to.spans, 257)
	require.InDelta(t, 44, r.counted(t, "left_out"), 0)
}

// TestAnyBytes has a client that sends what is no text.
func TestAnyBytes(t *testing.T) {
	t.Parallel()
	to := &recorder{}
	r := newRig(t, to, 1)
	_, call := r.Arrive(t.Context(), method, nil)
	call.Depart(status.Error(codes.Internal, "caf\xe9"), zap.String("correlation_id", "\xff"))
	require.NoError(t, r.Close())
	span := to.named(t, strings.TrimPrefix(method, "/"))
	require.Equal(t, "caf?", span.Status.Description)
	require.Contains(t, span.Attributes, attribute.String("praefect.correlation_id", "?"))
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, &recorder{fail: errors.New("no room")}, 1)
	_, call := r.Arrive(t.Context(), method, nil)
	call.Depart(nil)
	require.NoError(t, r.Close())
	require.InDelta(t, 1, r.counted(t, "failed"), 0)
	require.Len(t, r.logged.All(), 1)
	require.Equal(t, "spans are not exported", r.logged.All()[0].Message)
	require.Equal(t, "no room", r.logged.All()[0].ContextMap()["error"])
}

func TestOffCostsNothing(t *testing.T) { //nolint:paralleltest // AllocsPerRun wants to be alone.
	tracer, err := tracing.New(
		t.Context(), prometheus.NewRegistry(), zap.NewNop(), nil, tracing.Config{})
	require.NoError(t, err)
	require.Nil(t, tracer)
	require.Empty(t, tracer.DialOptions("default", "a"))
	ctx, incoming := t.Context(), metadata.Pairs("traceparent", kept)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_, call := tracer.Arrive(ctx, method, incoming)
		call.Step("route", call.Now(), nil)
		if call.Observer() != nil || call.TraceID() != "" {
			t.Error("traced")
		}
		call.Depart(nil)
	}))
	require.NoError(t, tracer.Close())
}

// TestExporter sends a span to a real receiver.
func TestExporter(t *testing.T) {
	t.Parallel()
	received := make(chan *wire.TracesData, 1)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		request := &wire.TracesData{}
		if r.URL.Path != "/v1/traces" || r.Header.Get("Key") != "a b" ||
			proto.Unmarshal(body, request) != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
		received <- request
	}))
	defer web.Close()
	for _, endpoint := range []string{web.URL, web.URL + "/", web.URL + "/v1/traces"} {
		config := tracing.Config{Endpoint: endpoint, SampleRatio: 1}
		require.NoError(t, config.Validate())
		exporter, err := tracing.NewExporter(t.Context(), config, func(name string) string {
			return map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "key=a%20b, other=1"}[name]
		})
		require.NoError(t, err)
		r := newRig(t, exporter, 1)
		_, call := r.Arrive(t.Context(), method, nil)
		call.Depart(nil)
		require.NoError(t, r.Close())
		span := (<-received).GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0]
		require.Equal(t, "gitaly.RefService/RefExists", span.GetName(), endpoint)
		require.InDelta(t, 1, r.counted(t, "exported"), 0)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for name, tc := range map[string]struct {
		config    string
		variables map[string]string
		on        bool
		wrong     string
	}{
		"nothing":  {},
		"endpoint": {variables: map[string]string{endpoint: "http://h:1"}, on: true},
		"endpoint of traces": {variables: map[string]string{
			"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h:1",
			"OTEL_EXPORTER_OTLP_PROTOCOL":        "http/protobuf",
		}, on: true},
		"switched off": {
			config: "http://h:1", variables: map[string]string{"OTEL_SDK_DISABLED": "true"},
		},
		"no exporter": {variables: map[string]string{
			endpoint: "http://h:1", "OTEL_TRACES_EXPORTER": "none",
		}},
		"another exporter": {variables: map[string]string{
			endpoint: "http://h:1", "OTEL_TRACES_EXPORTER": "zipkin",
		}, wrong: `OTEL_TRACES_EXPORTER="zipkin"`},
		"another protocol": {variables: map[string]string{
			endpoint: "http://h:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
		}, wrong: `OTEL_EXPORTER_OTLP_PROTOCOL="grpc"`},
		"wrong headers": {config: "http://h:1", variables: map[string]string{
			"OTEL_EXPORTER_OTLP_HEADERS": "s3cret",
		}, wrong: "it is name=value"},
		"no authorities": {config: "http://h:1", variables: map[string]string{
			"OTEL_EXPORTER_OTLP_CERTIFICATE": "/nope",
		}, wrong: "/nope"},
		"configured":   {config: "https://h:1", on: true},
		"no scheme":    {config: "h:1", wrong: "not an endpoint"},
		"other scheme": {config: "grpc://h:1", wrong: "not an endpoint"},
		"password":     {config: "http://me:s3cret@h:1", wrong: "no password"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exporter, err := tracing.NewExporter(t.Context(), tracing.Config{Endpoint: tc.config},
				func(name string) string { return tc.variables[name] })
			if tc.wrong != "" {
				require.ErrorIs(t, err, tracing.ErrInvalidConfig)
				require.ErrorContains(t, err, tc.wrong)
				require.NotContains(t, err.Error(), "s3cret")
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.on, exporter != nil)
			if exporter != nil {
				require.NoError(t, exporter.Shutdown(t.Context()))
			}
		})
	}
}
