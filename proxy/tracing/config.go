package tracing

import (
	"cmp"
	"context"
	"fmt"
	"net/url"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// Config says where spans are sent. Its zero value, in an environment that says nothing either,
// means nowhere.
type Config struct {
	// Endpoint is where a collector speaks OTLP: http://host:port, https://host:port, both with a
	// path if it is not /v1/traces, grpc://host:port, or grpcs://host:port with TLS.
	Endpoint string
	// SampleRatio is which part, from 0 to 1, of the traces that begin here is kept. What clients
	// have begun is kept or not as they say.
	SampleRatio float64
	// Version is that of this program.
	Version string
}

// Validate returns what is wrong with the endpoint or the ratio, wrapped in [ErrInvalidConfig]. It
// does not show the endpoint, in which there may be a password.
func (c Config) Validate() error {
	if err := c.ValidateEndpoint(); err != nil {
		return err
	}
	return c.ValidateRatio()
}

// ValidateRatio is the part of [Config.Validate] about the ratio.
func (c Config) ValidateRatio() error {
	if !(c.SampleRatio >= 0 && c.SampleRatio <= 1) {
		return fmt.Errorf("%w: a ratio of %v is not between 0 and 1",
			ErrInvalidConfig, c.SampleRatio)
	}
	return nil
}

// ValidateEndpoint is the part of [Config.Validate] about the endpoint.
func (c Config) ValidateEndpoint() error {
	if c.Endpoint == "" {
		return nil
	}
	_, _, err := c.target()
	return err
}

// target returns the URL as the exporters know it, and whether it is one of gRPC.
func (c Config) target() (address string, overGRPC bool, err error) {
	const accepted = "it is http://, https://, grpc:// or grpcs:// and host:port"
	target, err := url.Parse(c.Endpoint)
	switch {
	case err != nil, target.Host == "":
		return "", false, fmt.Errorf("%w: not an endpoint: %s", ErrInvalidConfig, accepted)
	case target.User != nil:
		return "", false, fmt.Errorf("%w: no password may be in the endpoint: "+
			"OTEL_EXPORTER_OTLP_HEADERS in the environment is the place for it", ErrInvalidConfig)
	}
	switch target.Scheme {
	case "http", "https":
		if target.Path == "" || target.Path == "/" {
			target.Path = "/v1/traces"
		}
		return target.String(), false, nil
	case "grpc":
		target.Scheme = "http"
	case "grpcs":
		target.Scheme = "https"
	default:
		return "", false, fmt.Errorf("%w: not an endpoint: %s", ErrInvalidConfig, accepted)
	}
	if target.Port() == "" {
		return "", false, fmt.Errorf("%w: an endpoint of gRPC needs a port", ErrInvalidConfig)
	}
	return target.String(), true, nil
}

// NewExporter returns what sends spans where the configuration says or, if that says nothing, where
// the standard variables of the environment do; it returns nil when neither does, or when the
// environment switches traces off. The library reads further variables: headers, certificates,
// times. Errors match [ErrInvalidConfig]. Nothing is connected to yet.
func NewExporter(
	ctx context.Context, config Config, getenv func(string) string,
) (sdk.SpanExporter, error) {
	if getenv("OTEL_SDK_DISABLED") == "true" {
		return nil, nil //nolint:nilnil // There need not be any.
	}
	if config.Endpoint != "" {
		target, overGRPC, err := config.target()
		if err != nil {
			return nil, err
		}
		if overGRPC {
			return dial(otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(target)))
		}
		return dial(otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(target)))
	}
	return fromEnvironment(ctx, getenv)
}

// fromEnvironment returns what the standard variables ask for.
func fromEnvironment(
	ctx context.Context, getenv func(string) string,
) (sdk.SpanExporter, error) {
	if cmp.Or(getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
		getenv("OTEL_EXPORTER_OTLP_ENDPOINT")) == "" {
		return nil, nil //nolint:nilnil // There need not be any.
	}
	switch kind := getenv("OTEL_TRACES_EXPORTER"); kind {
	case "", "otlp":
	case "none":
		return nil, nil //nolint:nilnil // There need not be any.
	default:
		return nil, fmt.Errorf("%w: OTEL_TRACES_EXPORTER=%q: it is otlp or none",
			ErrInvalidConfig, kind)
	}
	switch protocol := cmp.Or(getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"),
		getenv("OTEL_EXPORTER_OTLP_PROTOCOL")); protocol {
	case "grpc":
		return dial(otlptracegrpc.New(ctx))
	case "", "http/protobuf", "http/json":
		return dial(otlptracehttp.New(ctx))
	default:
		return nil, fmt.Errorf("%w: OTEL_EXPORTER_OTLP_PROTOCOL=%q: it is grpc, http/protobuf "+
			"or http/json", ErrInvalidConfig, protocol)
	}
}

// dial turns what an exporter's constructor returns into an interface.
func dial[E sdk.SpanExporter](exporter E, err error) (sdk.SpanExporter, error) {
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidConfig, err)
	}
	return exporter, nil
}
