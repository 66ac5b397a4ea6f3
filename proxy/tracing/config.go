package tracing

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// overHTTP is the protocol that is spoken, as the environment calls it.
const overHTTP = "http/protobuf"

// Config says where spans are sent. Its zero value, in an environment that says nothing either,
// means nowhere.
type Config struct {
	// Endpoint is where a collector speaks OTLP over HTTP: http://host:port or https://host:port,
	// with a path if it is not /v1/traces.
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
	if c.SampleRatio < 0 || c.SampleRatio > 1 || math.IsNaN(c.SampleRatio) {
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
	_, err := c.target()
	return err
}

// target returns the URL with its path.
func (c Config) target() (string, error) {
	target, err := url.Parse(c.Endpoint)
	if err != nil || target.Host == "" || (target.Scheme != "http" && target.Scheme != "https") {
		return "", fmt.Errorf("%w: not an endpoint: it is http:// or https:// and host:port",
			ErrInvalidConfig)
	}
	if target.User != nil {
		return "", fmt.Errorf("%w: no password may be in the endpoint: "+
			"OTEL_EXPORTER_OTLP_HEADERS in the environment is the place for it", ErrInvalidConfig)
	}
	if target.Path == "" || target.Path == "/" {
		target.Path = "/v1/traces"
	}
	return target.String(), nil
}

// NewExporter returns what sends spans where the configuration says or, if that says nothing, where
// the standard variables of the environment do; it returns nil when neither does, or when the
// environment switches traces off. Headers and certificates are those of the environment. Errors
// match [ErrInvalidConfig]. Nothing is connected to yet.
func NewExporter(
	ctx context.Context, config Config, getenv func(string) string,
) (sdk.SpanExporter, error) {
	if getenv("OTEL_SDK_DISABLED") == "true" {
		return nil, nil //nolint:nilnil // There need not be any.
	}
	if config.Endpoint == "" {
		endpoint, err := fromEnvironment(getenv)
		if err != nil || endpoint == "" {
			return nil, err
		}
		config.Endpoint = endpoint
	}
	target, err := config.target()
	if err != nil {
		return nil, err
	}
	client, err := newUploader(target, getenv)
	if err != nil {
		return nil, err
	}
	exporter, err := otlptrace.New(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidConfig, err)
	}
	return exporter, nil
}

// fromEnvironment returns the endpoint that the standard variables name, if any.
func fromEnvironment(getenv func(string) string) (string, error) {
	// The second is what all kinds of data have in common, so there is a path behind it.
	endpoint := getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	if common := getenv("OTEL_EXPORTER_OTLP_ENDPOINT"); endpoint == "" && common != "" {
		endpoint = strings.TrimSuffix(common, "/") + "/v1/traces"
	}
	kind := getenv("OTEL_TRACES_EXPORTER")
	if endpoint == "" || kind == "none" {
		return "", nil
	}
	if kind != "" && kind != "otlp" {
		return "", fmt.Errorf("%w: OTEL_TRACES_EXPORTER=%q: it is otlp or none",
			ErrInvalidConfig, kind)
	}
	protocol := cmp.Or(getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"),
		getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), overHTTP)
	if protocol != overHTTP {
		return "", fmt.Errorf("%w: OTEL_EXPORTER_OTLP_PROTOCOL=%q: it is %s",
			ErrInvalidConfig, protocol, overHTTP)
	}
	return endpoint, nil
}
