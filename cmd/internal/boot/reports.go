package boot

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"praefect/proxy/telemetry"
)

// startReports lets failures be reported where the configuration says. That it names no place where
// anything could be reported is no reason not to serve.
func (s *server) startReports(context.Context) error {
	config := s.Config.Sentry.Config()
	config.Version = s.Version
	reports, err := telemetry.NewSentry(s.metrics, s.log.Named("sentry"), config)
	if errors.Is(err, telemetry.ErrInvalidDSN) {
		// Operators look for this line.
		s.log.Warn("unable to initialize sentry client",
			zap.String("key", "sentry.sentry_dsn"), zap.Error(err))

		return nil
	}
	if err != nil {
		return err
	}
	s.reports = reports
	s.onEnd("reports", reports.Close)

	return nil
}
