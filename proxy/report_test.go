package proxy_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/proxy/telemetry"
)

// reportsTo returns what reports to a server that stands in for Sentry, and what that has received.
func reportsTo(t *testing.T) (reports *telemetry.Sentry, received chan string) {
	t.Helper()
	received = make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(
		func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			// The first line is the envelope, which is addressed with the DSN.
			_, report, _ := strings.Cut(string(body), "\n")
			received <- report
		}))
	t.Cleanup(server.Close)
	reports, err := telemetry.NewSentry(prometheus.NewRegistry(), zap.NewNop(),
		telemetry.SentryConfig{
			DSN: strings.Replace(server.URL, "://", "://key@", 1) + "/1", Environment: "staging",
		})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, reports.Close()) })
	return reports, received
}

// TestFailuresAreReported lets nodes end calls with every code. What is reported has the method,
// the code and the id of the request, and nothing that is not others' business. Clients are told
// Internal instead of Unknown.
func TestFailuresAreReported(t *testing.T) {
	t.Parallel()
	reports, received := reportsTo(t)
	c := newCluster(t, func(s *settings) { s.reports = reports })
	ctx := metadata.AppendToOutgoingContext(t.Context(),
		"x-gitlab-correlation-id", "id-of-a-request", "user_id", "metadata of a client")
	for code := codes.OK; code <= codes.Unauthenticated; code++ {
		c.onAll(refExists, func(v *visit) error {
			if code == codes.OK {
				return answerRefExists(v)
			}
			return status.Error(code, "at https://me:password@host: broken "+code.String())
		})
		_, err := c.refExists(ctx)
		require.Equal(t, code != codes.OK, err != nil)
	}
	require.NoError(t, reports.Close())
	close(received)
	var seen []string
	for report := range received {
		for _, code := range []string{"Internal", "Unknown", "DataLoss"} {
			if strings.Contains(report, "at https://[hidden]@host: broken "+code) {
				seen = append(seen, code)
			}
		}
		for _, part := range []string{
			`"grpc.method":"/gitaly.RefService/RefExists"`, `"environment":"staging"`,
			`"correlation_id":"id-of-a-request"`,
		} {
			require.Contains(t, report, part)
		}
		for _, part := range []string{secret, "inner", "me:password", "metadata of a client"} {
			require.NotContains(t, report, part)
		}
	}
	slices.Sort(seen)
	require.Equal(t, []string{"DataLoss", "Internal", "Unknown"}, seen)
}

// TestReportsDelayNobody answers while reports are stuck.
func TestReportsDelayNobody(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(
		func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	reports, err := telemetry.NewSentry(prometheus.NewRegistry(), zap.NewNop(),
		telemetry.SentryConfig{DSN: strings.Replace(server.URL, "://", "://key@", 1) + "/1"})
	require.NoError(t, err)
	c := newCluster(t, func(s *settings) { s.reports = reports })
	c.onAll(refExists, func(*visit) error { return status.Error(codes.Internal, "broken") })
	begun := time.Now()
	for range 200 {
		_, err := c.refExists(t.Context())
		require.Equal(t, codes.Internal, status.Code(err))
	}
	require.Less(t, time.Since(begun), time.Minute, "a report may take three seconds")
	require.NoError(t, reports.Close())
}
