package tracing

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
)

const (
	// exportMax bounds the sending of one batch, with all attempts; closeMax the wait for the last
	// ones when the process ends.
	exportMax = 10 * time.Second
	closeMax  = 2 * time.Second
	// scope is whose spans these are.
	scope = "praefect"
)

// Tracer begins spans. A nil one begins none.
type Tracer struct {
	tracer     trace.Tracer
	propagator propagation.TraceContext
	provider   *sdk.TracerProvider
	exporter   *exporter
	log        *zap.Logger
	leftOut    prometheus.Counter
}

// New returns a tracer whose spans go to the exporter, which it takes over, or nil if that is nil.
// OTEL_TRACES_SAMPLER in the environment takes the place of the configured ratio. Errors match
// [ErrInvalidConfig] or come from the registerer. [Tracer.Close] must be called.
func New(
	ctx context.Context, registerer prometheus.Registerer, log *zap.Logger,
	to sdk.SpanExporter, config Config,
) (*Tracer, error) {
	if to == nil {
		return nil, nil //nolint:nilnil // Nil is what makes no spans.
	}
	if err := config.ValidateRatio(); err != nil {
		return nil, err
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", scope),
			attribute.String("service.version", config.Version)),
		resource.WithHost(), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		// What could be found out is there.
		log.Warn("this process is described to the receiver of traces in part", zap.Error(err))
	}
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gitaly_praefect_spans_total",
		Help: "Spans of traced calls, by what became of them",
	}, []string{"result"})
	if err := registerer.Register(spans); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	t := &Tracer{
		exporter: newExporter(log, to, spans), log: log,
		leftOut: spans.WithLabelValues("left_out"),
	}
	options := []sdk.TracerProviderOption{
		sdk.WithResource(about),
		sdk.WithSpanProcessor(newSpool(t.exporter, spans.WithLabelValues("dropped"))),
	}
	if os.Getenv("OTEL_TRACES_SAMPLER") == "" {
		options = append(options, sdk.WithSampler(
			sdk.ParentBased(sdk.TraceIDRatioBased(config.SampleRatio))))
	}
	t.provider = sdk.NewTracerProvider(options...)
	t.tracer = t.provider.Tracer(scope, trace.WithInstrumentationVersion(config.Version))
	return t, nil
}

// Close sends what waits, for at most two seconds, and gives the rest up.
func (t *Tracer) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeMax)
	defer cancel()
	err := t.provider.Shutdown(ctx)
	if err != nil {
		// It is no reason to call the end of the process a failure. What is under way is cut off.
		t.log.Warn("last spans are not exported", zap.Error(err))
		_ = t.exporter.Shutdown(ctx) // Says the same again.
	}
	return nil
}
