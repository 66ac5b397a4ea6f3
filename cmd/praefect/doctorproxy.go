package main

import (
	"context"

	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"praefect/cmd/internal/configfile"
	"praefect/proxy/gitalypb"
)

// examineProxy looks at the server of this configuration, as its clients do.
func examineProxy(ctx context.Context, c *chart, config *configfile.Loaded) {
	examineOwnCertificate(c, config)
	conn, err := dialPraefect(config)
	if err != nil {
		c.add("server", stateFail, err.Error(), "")

		return
	}
	defer conn.Close() //nolint:errcheck // It was only asked questions.
	if _, err := grpc_health_v1.NewHealthClient(conn).Check(ctx,
		&grpc_health_v1.HealthCheckRequest{}); err != nil {
		c.add("server", stateFail, status.Convert(err).Message(),
			"start praefect serve; if it runs, its log says what it waits for")

		return
	}
	c.ok("server", "answers")
	answer, err := gitalypb.NewServerServiceClient(conn).ReadinessCheck(ctx,
		&gitalypb.ReadinessCheckRequest{})
	switch {
	case refused(status.Code(err)):
		c.add("token", stateFail, status.Convert(err).Message(),
			"the server runs with another token: restart it after a change of [auth]")
	case err != nil:
		c.add("readiness", stateFail, status.Convert(err).Message(), "")
	case len(answer.GetFailureResponse().GetFailedChecks()) > 0:
		for _, failed := range answer.GetFailureResponse().GetFailedChecks() {
			c.add("readiness", stateFail,
				failed.GetName()+": "+failed.GetErrorMessage(), "see praefect check")
		}
	default:
		c.ok("readiness", "the server is ready")
	}
}

// examineOwnCertificate looks at what clients behind tls_listen_addr are shown.
func examineOwnCertificate(c *chart, config *configfile.Loaded) {
	if config.TLSListenAddr == "" {
		return
	}
	security := config.TLS.Security()
	pair, err := security.Pair()
	if err != nil {
		c.add("tls", stateFail, err.Error(), "correct [tls], or run as a user who may read "+
			"its files")

		return
	}
	version := config.TLS.MinVersion + " or newer"
	if pair.Leaf != nil {
		sayExpiry(c, pair.Leaf, version)
	}
}
