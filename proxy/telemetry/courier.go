package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// answerMax is what is read of an answer to a report.
const answerMax = 16 << 10

// courier carries reports. It counts what becomes of them and tells when they begin to be refused,
// and when they are accepted again; the library keeps both to itself. Unlike the library it can be
// stopped at once.
type courier struct {
	log          *zap.Logger
	sent, failed prometheus.Counter
	way          *http.Transport
	stopping     context.Context //nolint:containedctx // It is that of all requests, and ends them.
	end          context.CancelFunc
	failing      atomic.Bool
}

func newCourier(log *zap.Logger, reports *prometheus.CounterVec) *courier {
	stopping, end := context.WithCancel(context.Background())
	return &courier{
		log:  log,
		sent: reports.WithLabelValues("sent"), failed: reports.WithLabelValues("failed"),
		way:      &http.Transport{Proxy: http.ProxyFromEnvironment},
		stopping: stopping, end: end,
	}
}

// RoundTrip implements http.RoundTripper.
func (c *courier) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := c.carry(request)
	why := err
	if err == nil && answer.StatusCode >= http.StatusBadRequest {
		why = fmt.Errorf("answered %s", answer.Status)
	}
	c.note(why)
	return answer, err
}

// carry sends a report and reads the answer to it, as long as the courier is not stopped.
func (c *courier) carry(request *http.Request) (*http.Response, error) {
	if err := c.stopping.Err(); err != nil {
		return nil, fmt.Errorf("send report: %w", err)
	}
	ctx, cancel := context.WithCancel(request.Context())
	defer cancel()
	defer context.AfterFunc(c.stopping, cancel)()
	answer, err := c.way.RoundTrip(request.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("send report: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // It was read.
	body, err := io.ReadAll(io.LimitReader(answer.Body, answerMax))
	if err != nil {
		return nil, fmt.Errorf("read answer to report: %w", err)
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, nil
}

// note counts a report. Errors do not show the DSN: its keys are sent in a header.
func (c *courier) note(why error) {
	if why == nil {
		c.sent.Inc()
		if c.failing.Swap(false) {
			c.log.Info("reports to sentry are accepted again")
		}
		return
	}
	c.failed.Inc()
	if !c.failing.Swap(true) {
		c.log.Warn("reports to sentry are not accepted", zap.Error(why))
	}
}

// stop ends what is under way, and all that comes later.
func (c *courier) stop() {
	c.end()
	c.way.CloseIdleConnections()
}
