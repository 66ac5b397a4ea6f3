package boot

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"praefect/cmd/internal/configfile"
)

// TestUselessDSN starts without reports where they lead nowhere, and says so without the secret.
func TestUselessDSN(t *testing.T) {
	t.Parallel()
	core, logged := observer.New(zap.DebugLevel)
	s := newServer(t.Context(), zap.New(core), Options{
		Config: &configfile.File{Sentry: configfile.Sentry{DSN: "s3cret"}}, Version: "v1",
	})
	s.metrics = prometheus.NewRegistry()
	require.NoError(t, s.startReports(t.Context()))
	require.Nil(t, s.reports)
	require.Len(t, logged.All(), 1)
	line := logged.All()[0]
	require.Equal(t, zap.WarnLevel, line.Level)
	require.Equal(t, "unable to initialize sentry client", line.Message)
	require.Equal(t, "sentry.sentry_dsn", line.ContextMap()["key"])
	require.NotContains(t, fmt.Sprint(line.ContextMap()), "s3cret")
}
