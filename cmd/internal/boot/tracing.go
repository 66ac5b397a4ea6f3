package boot

import (
	"context"
	"errors"
	"net/url"
	"os"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	"praefect/proxy/backend"
	"praefect/proxy/tracing"
)

// startTracing lets calls be traced if the configuration or the environment says where to. That
// something is wrong in the environment, of which others may know more, is no reason not to serve.
func (s *server) startTracing(ctx context.Context) error {
	log := s.log.Named("tracing")
	if other := os.Getenv("GITLAB_TRACING"); other != "" {
		log.Warn("GITLAB_TRACING has no effect: name a receiver of OTLP in tracing.endpoint",
			zap.String("tracer", tracerOf(other)))
	}
	config := s.Config.Tracing.Config()
	config.Version = s.Version
	exporter, err := tracing.NewExporter(ctx, config, os.Getenv)
	if errors.Is(err, tracing.ErrInvalidConfig) && config.Endpoint == "" {
		log.Warn("calls are not traced", zap.Error(err))

		return nil
	}
	if err != nil {
		return err
	}
	s.tracer, err = tracing.New(ctx, s.metrics, log, exporter, config)
	if err != nil {
		return err
	}
	if s.tracer != nil {
		log.Info("calls are traced", zap.Float64("sample_ratio", config.SampleRatio))
		s.onEnd("traces", s.tracer.Close)
	}

	return nil
}

// tracerOf returns what is no secret in a connection string: it may hold a token.
func tracerOf(connection string) string {
	parsed, err := url.Parse(connection)
	if err != nil || parsed.Scheme == "" {
		return "unknown"
	}

	return parsed.Scheme + "://" + parsed.Hostname()
}

// traced returns what makes calls to a node parts of traces.
func (s *server) traced(node backend.Node) []grpc.DialOption {
	return s.tracer.DialOptions(node.VirtualStorage, node.Storage)
}
