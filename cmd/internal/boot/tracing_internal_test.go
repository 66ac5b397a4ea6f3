package boot

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/encoding"

	"praefect/cmd/internal/configfile"
	"praefect/proxy/backend"
)

// TestTracingOfOthers starts without traces where the environment asks for what is not done here,
// and says so without secrets.
func TestTracingOfOthers(t *testing.T) {
	t.Setenv("GITLAB_TRACING", "opentracing://lightstep?access_token=s3cret")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_TRACES_EXPORTER", "zipkin")
	core, logged := observer.New(zap.DebugLevel)
	s := newServer(t.Context(), zap.New(core), Options{Config: &configfile.File{}, Version: "v1"})
	s.metrics = prometheus.NewRegistry()
	require.NoError(t, s.startTracing(t.Context()))
	require.Nil(t, s.tracer)
	require.Empty(t, s.traced(backend.Node{}))
	var lines []string
	for _, line := range logged.All() {
		require.Equal(t, zap.WarnLevel, line.Level)
		lines = append(lines, fmt.Sprint(line.Message, line.ContextMap()))
	}
	require.Len(t, lines, 2)
	require.Contains(t, lines[0], "GITLAB_TRACING has no effect")
	require.Contains(t, lines[0], "opentracing://lightstep")
	require.NotContains(t, lines[0], "s3cret")
	require.Contains(t, lines[1], "calls are not traced")
	require.Contains(t, lines[1], "zipkin")
}

// TestNoCompression asserts that no library has registered a compressor behind our back: each call
// to a node would offer it in a header, which costs a read seven allocations.
func TestNoCompression(t *testing.T) {
	t.Parallel()
	require.Nil(t, encoding.GetCompressor("gzip"))
}

func TestTracerOf(t *testing.T) {
	t.Parallel()
	for connection, want := range map[string]string{
		"opentracing://jaeger?udp_endpoint=localhost:6831": "opentracing://jaeger",
		"opentracing://user:s3cret@datadog":                "opentracing://datadog",
		"s3cret":                                           "unknown",
		"://s3cret":                                        "unknown",
	} {
		require.Equal(t, want, tracerOf(connection))
	}
}
