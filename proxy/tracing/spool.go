package tracing

import (
	"context"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"
)

// spoolMax is how many spans may wait to be exported, those that are being exported included: some
// ten megabytes.
const spoolMax = 4096

// spool keeps ended spans until they are exported. When there are too many it drops and counts the
// latest. What the library offers for that counts in secret.
type spool struct {
	sdk.SpanProcessor
	exporter *exporter
	dropped  prometheus.Counter
}

func newSpool(exporter *exporter, dropped prometheus.Counter) *spool {
	return &spool{
		// Its queue has room for all that the spool lets through.
		SpanProcessor: sdk.NewBatchSpanProcessor(exporter,
			sdk.WithMaxQueueSize(spoolMax), sdk.WithExportTimeout(exportMax)),
		exporter: exporter, dropped: dropped,
	}
}

// OnEnd takes a span. It does not wait.
func (s *spool) OnEnd(span sdk.ReadOnlySpan) {
	if !span.SpanContext().IsSampled() {
		return
	}
	if s.exporter.waiting.Add(1) > spoolMax {
		s.exporter.waiting.Add(-1)
		s.dropped.Inc()
		return
	}
	s.SpanProcessor.OnEnd(span)
}

// exporter counts what becomes of spans, and tells when they begin to be refused, and when they are
// accepted again. It has no failures of its own, as nobody could do more about them.
type exporter struct {
	sdk.SpanExporter
	log              *zap.Logger
	waiting          atomic.Int64
	exported, failed prometheus.Counter
	failing          bool // Spans are exported by one goroutine at a time.
}

func newExporter(
	log *zap.Logger, to sdk.SpanExporter, spans *prometheus.CounterVec,
) *exporter {
	return &exporter{
		SpanExporter: to, log: log,
		exported: spans.WithLabelValues("exported"), failed: spans.WithLabelValues("failed"),
	}
}

// ExportSpans exports a batch. It returns nil.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	e.waiting.Add(-int64(len(spans)))
	if err == nil {
		e.exported.Add(float64(len(spans)))
		if e.failing {
			e.log.Info("spans are exported again")
		}
		e.failing = false
		return nil
	}
	e.failed.Add(float64(len(spans)))
	if !e.failing {
		e.log.Warn("spans are not exported", zap.Error(err))
	}
	e.failing = true
	return nil
}
