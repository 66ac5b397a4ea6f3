package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/getsentry/sentry-go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"
)

const (
	// sendMax bounds the sending of one report, and reports are not taken more often than one can
	// be sent at worst, so that the queue of the library, which drops without a word, never fills.
	// reportBurst is half of what that queue holds.
	sendMax     = 3 * time.Second
	reportBurst = 50
	// flushMax bounds the wait for reports that are under way when the server ends.
	flushMax = 2 * time.Second
	// messageMax and tagMax are bytes of what others say; Sentry keeps no more of it either.
	messageMax = 8 << 10
	tagMax     = 200
)

// ErrInvalidDSN says that nothing can be reported where the configuration says.
var ErrInvalidDSN = errors.New("not a DSN: it is https://KEY@HOST/PROJECT")

// Failure is a call that failed in a way that somebody should look at.
type Failure struct {
	// Method is the full name of what was called, Code what the caller was told.
	Method  string
	Code    codes.Code
	Message string
	Took    time.Duration
	// Correlation is the id under which logs know the call.
	Correlation string
	// Panic says that the handler panicked. Such a failure is reported by the function that has
	// recovered, so that the stack can be found.
	Panic bool
}

// SentryConfig says where failures are reported. Without a DSN there is no reporting.
type SentryConfig struct{ DSN, Environment, Version string }

// Validate returns [ErrInvalidDSN], which does not show the DSN, as there is a key in it.
func (c SentryConfig) Validate() error {
	if c.DSN == "" {
		return nil
	}
	if _, err := sentry.NewDsn(c.DSN); err != nil {
		return ErrInvalidDSN
	}
	return nil
}

// Sentry reports failures. A nil one reports nothing. Safe for concurrent use.
type Sentry struct {
	client  *sentry.Client
	courier *courier
	rate    *rate.Limiter
	veil    veil
	held    prometheus.Counter
}

// NewSentry returns nil without a DSN. Errors match [ErrInvalidDSN] or come from the registerer.
// [Sentry.Close] must be called.
func NewSentry(
	registerer prometheus.Registerer, log *zap.Logger, config SentryConfig,
) (*Sentry, error) {
	if config.DSN == "" {
		return nil, nil //nolint:nilnil // Nil is what reports nothing.
	}
	if err := config.Validate(); err != nil {
		return nil, err
	}
	reports := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gitaly_praefect_sentry_reports_total",
		Help: "Failures of calls to be reported to Sentry, by what became of the report",
	}, []string{"result"})
	if err := registerer.Register(reports); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	courier := newCourier(log, reports)
	client, err := sentry.NewClient(sentry.ClientOptions{
		Dsn: config.DSN, Environment: config.Environment,
		Release:    "v" + strings.TrimPrefix(config.Version, "v"),
		HTTPClient: &http.Client{Transport: courier, Timeout: sendMax},
		// What the integrations add tells of the machine and its environment.
		Integrations:         func([]sentry.Integration) []sentry.Integration { return nil },
		DisableClientReports: true,
	})
	if err != nil {
		courier.stop()
		return nil, ErrInvalidDSN
	}
	return &Sentry{
		client: client, courier: courier, rate: rate.NewLimiter(rate.Every(sendMax), reportBurst),
		veil: newVeil(), held: reports.WithLabelValues("held_back"),
	}, nil
}

// Reported tells whether calls that end with a code are reported: those that neither the client,
// nor what it asked for, nor the time explains. What is temporarily not available has metrics.
func Reported(code codes.Code) bool {
	return code == codes.Internal || code == codes.Unknown || code == codes.DataLoss
}

// Report sends a failure. It does not wait for that; of too many, some are held back. Nothing that
// a client sent is in it but the id of its request, and what looks like a secret in messages of
// others is hidden.
func (s *Sentry) Report(failure Failure) {
	if s == nil {
		return
	}
	if !s.rate.Allow() {
		s.held.Inc()
		return
	}
	s.client.CaptureEvent(s.event(failure), nil, nil)
}

func (s *Sentry) event(failure Failure) *sentry.Event {
	event := sentry.NewEvent()
	event.Level = sentry.LevelError
	event.Message = cut(s.veil.over(failure.Message), messageMax)
	event.Tags = map[string]string{
		"system": "grpc", "grpc.method": cut(failure.Method, tagMax),
		"grpc.code":      failure.Code.String(),
		"grpc.time_ms":   fmt.Sprintf("%.3f", float64(failure.Took)/float64(time.Millisecond)),
		"correlation_id": cut(failure.Correlation, tagMax),
	}
	name := strings.ReplaceAll(strings.TrimPrefix(failure.Method, "/"), "/", "::")
	event.Fingerprint = []string{"grpc", cut(name, tagMax), failure.Code.String()}
	if failure.Panic {
		event.Level = sentry.LevelFatal
		event.Tags["panic"], event.Tags["grpcMethod"] = "1", event.Tags["grpc.method"]
		event.Exception = []sentry.Exception{{
			Type: "panic", Value: event.Message, Stacktrace: sentry.NewStacktrace(),
		}}
	}
	return event
}

// cut returns no more than so many bytes of a text, without half a character at its end.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}

// Close sends what waits, for at most two seconds, and gives the rest up.
func (s *Sentry) Close() error {
	if s == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushMax)
	defer cancel()
	s.client.FlushWithContext(ctx)
	s.courier.stop() // What is still under way ends at once, so that the client can.
	s.client.Close()
	return nil
}
