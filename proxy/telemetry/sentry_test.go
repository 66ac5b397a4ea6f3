package telemetry_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"

	"praefect/proxy/telemetry"
)

const reportsTotal = "gitaly_praefect_sentry_reports_total"

// receiver is where reports arrive.
func receiver(t *testing.T, answer http.HandlerFunc) (dsn string, received <-chan string) {
	t.Helper()
	bodies := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- r.URL.Path + "\n" + string(body)
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "://", "://public:private@", 1) + "/42", bodies
}

func accept(http.ResponseWriter, *http.Request) {}

// event returns what a report tells: an envelope is its header and that of its only item, a line
// each, and the item.
func event(t *testing.T, report string) map[string]any {
	t.Helper()
	lines := strings.Split(report, "\n")
	require.Equal(t, "/api/42/envelope/", lines[0])
	require.NotContains(t, lines[3], "private")
	var event map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[3]), &event), report)
	return event
}

func reporter(
	t *testing.T, dsn string,
) (*telemetry.Sentry, *prometheus.Registry, *observer.ObservedLogs) {
	t.Helper()
	core, logged := observer.New(zap.InfoLevel)
	registry := prometheus.NewRegistry()
	reports, err := telemetry.NewSentry(registry, zap.New(core), telemetry.SentryConfig{
		DSN: dsn, Environment: "staging", Version: "1.2.3",
	})
	require.NoError(t, err)
	return reports, registry, logged
}

func counted(t *testing.T, registry *prometheus.Registry, result string) float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		require.Equal(t, reportsTotal, family.GetName())
		for _, metric := range family.GetMetric() {
			if metric.GetLabel()[0].GetValue() == result {
				return metric.GetCounter().GetValue()
			}
		}
	}
	require.Fail(t, "no such result", result)
	return 0
}

// breaks fails with a panic that is reported.
func breaks(reports *telemetry.Sentry) {
	defer func() {
		reports.Report(telemetry.Failure{
			Method: "/gitaly.RefService/RefExists", Code: codes.Internal,
			Message: "panic: " + recover().(error).Error(), Panic: true,
		})
	}()
	panic(errors.New("oh no"))
}

func TestSentry(t *testing.T) {
	t.Parallel()
	dsn, received := receiver(t, accept)
	reports, registry, logged := reporter(t, dsn)
	reports.Report(telemetry.Failure{
		Method: "/gitaly.RefService/RefExists", Code: codes.Internal,
		Message: "broken: https://me:pw@host/ " + strings.Repeat("x", 1<<20),
		Took:    1500 * time.Microsecond, Correlation: "abc",
	})
	first := event(t, <-received)
	breaks(reports)
	second := event(t, <-received)
	require.NoError(t, reports.Close())
	require.Empty(t, logged.All())
	require.InDelta(t, 2, counted(t, registry, "sent"), 0)

	require.Equal(t, map[string]any{
		"system": "grpc", "grpc.method": "/gitaly.RefService/RefExists",
		"grpc.code": "Internal", "grpc.time_ms": "1.500", "correlation_id": "abc",
	}, first["tags"])
	for key, want := range map[string]any{
		"environment": "staging", "release": "v1.2.3", "level": "error",
		"fingerprint": []any{"grpc", "gitaly.RefService::RefExists", "Internal"},
	} {
		require.Equal(t, want, first[key], key)
	}
	message, _ := first["message"].(string)
	require.True(t, strings.HasPrefix(message, "broken: https://[hidden]@host/ xxx"), message)
	require.Less(t, len(message), 10_000)
	for _, absent := range []string{"contexts", "user", "request", "modules", "exception"} {
		require.Empty(t, first[absent], absent)
	}

	require.Equal(t, "fatal", second["level"])
	require.Equal(t, "1", second["tags"].(map[string]any)["panic"])
	stack, err := json.Marshal(second["exception"])
	require.NoError(t, err)
	require.Contains(t, string(stack), `"panic: oh no"`)
	require.Contains(t, string(stack), `"breaks"`)
}

// TestSentryTellsOfRefusals says once that reports are refused, and once that they are not any
// more.
func TestSentryTellsOfRefusals(t *testing.T) {
	t.Parallel()
	answers := make(chan int, 3)
	dsn, received := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(<-answers)
	})
	reports, registry, logged := reporter(t, dsn)
	for _, code := range []int{http.StatusForbidden, http.StatusBadGateway, http.StatusOK} {
		answers <- code
		reports.Report(telemetry.Failure{Code: codes.Internal})
		<-received
	}
	require.NoError(t, reports.Close())
	require.InDelta(t, 2, counted(t, registry, "failed"), 0)
	require.InDelta(t, 1, counted(t, registry, "sent"), 0)
	require.Len(t, logged.All(), 2)
	require.Equal(t, "reports to sentry are not accepted", logged.All()[0].Message)
	require.Equal(t, "answered 403 Forbidden", logged.All()[0].ContextMap()["error"])
	require.Equal(t, "reports to sentry are accepted again", logged.All()[1].Message)
}

// TestSentryIsBounded holds back what is too much, and ends in spite of a receiver that does not
// answer.
func TestSentryIsBounded(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	dsn, _ := receiver(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	reports, registry, _ := reporter(t, dsn)
	const many = 1000
	for range many {
		reports.Report(telemetry.Failure{Code: codes.Internal, Message: "broken"})
	}
	require.Greater(t, counted(t, registry, "held_back"), 0.9*many)
	begun := time.Now()
	require.NoError(t, reports.Close())
	require.Less(t, time.Since(begun), 20*time.Second, "two of them are the bound")
	require.InDelta(t, 0, counted(t, registry, "sent"), 0)
	reports.Report(telemetry.Failure{Code: codes.Internal, Message: "after the end"})
}

func TestSentryIsOff(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	reports, err := telemetry.NewSentry(registry, zap.NewNop(), telemetry.SentryConfig{})
	require.NoError(t, err)
	require.Nil(t, reports)
	reports.Report(telemetry.Failure{})
	require.NoError(t, reports.Close())
	count, err := testutil.GatherAndCount(registry)
	require.NoError(t, err)
	require.Zero(t, count)

	_, err = telemetry.NewSentry(registry, zap.NewNop(), telemetry.SentryConfig{DSN: "secret-key"})
	require.ErrorIs(t, err, telemetry.ErrInvalidDSN)
	require.NotContains(t, err.Error(), "secret-key")
	for code := codes.OK; code <= codes.Unauthenticated; code++ {
		want := code == codes.Internal || code == codes.Unknown || code == codes.DataLoss
		require.Equal(t, want, telemetry.Reported(code), code)
	}
}
