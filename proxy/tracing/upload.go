package tracing

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// answerMax is what is read of a receiver's answer.
const answerMax = 4 << 10

// uploader speaks OTLP over HTTP. It takes the place of the library's, as that registers a
// compressor with gRPC: each call to a node would offer it in a header then, which costs a read
// seven allocations. It does not repeat a batch that was refused.
type uploader struct {
	client   *http.Client
	way      *http.Transport
	endpoint string
	headers  http.Header
	stopping context.Context //nolint:containedctx // It is that of all requests, and ends them.
	end      context.CancelFunc
}

// newUploader reads headers and certificates from the environment, where they are expected.
func newUploader(endpoint string, getenv func(string) string) (*uploader, error) {
	variable := func(name string) string {
		return cmp.Or(getenv("OTEL_EXPORTER_OTLP_TRACES_"+name), getenv("OTEL_EXPORTER_OTLP_"+name))
	}
	headers, err := parseHeaders(variable("HEADERS"))
	if err != nil {
		return nil, err
	}
	headers.Set("Content-Type", "application/x-protobuf")
	security, err := loadSecurity(variable)
	if err != nil {
		return nil, err
	}
	stopping, end := context.WithCancel(context.Background())
	way := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: security}
	return &uploader{
		client: &http.Client{Transport: way, Timeout: exportMax}, way: way,
		endpoint: endpoint, headers: headers, stopping: stopping, end: end,
	}, nil
}

// parseHeaders reads name=value pairs, separated by commas, the values escaped as in URLs. Values
// are not shown.
func parseHeaders(text string) (http.Header, error) {
	headers := http.Header{}
	for pair := range strings.SplitSeq(text, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		name, escaped, found := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(escaped))
		if !found || err != nil {
			return nil, fmt.Errorf("%w: OTEL_EXPORTER_OTLP_HEADERS: it is name=value,name=value",
				ErrInvalidConfig)
		}
		headers.Set(strings.TrimSpace(name), value)
	}
	return headers, nil
}

// loadSecurity reads the files for TLS.
func loadSecurity(variable func(string) string) (*tls.Config, error) {
	security := &tls.Config{MinVersion: tls.VersionTLS12}
	if path := variable("CERTIFICATE"); path != "" {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("%w: read authorities: %w", ErrInvalidConfig, err)
		}
		security.RootCAs = x509.NewCertPool()
		if !security.RootCAs.AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("%w: no certificate in %q", ErrInvalidConfig, path)
		}
	}
	certificate, key := variable("CLIENT_CERTIFICATE"), variable("CLIENT_KEY")
	if certificate == "" && key == "" {
		return security, nil
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("%w: load client certificate: %w", ErrInvalidConfig, err)
	}
	security.Certificates = []tls.Certificate{pair}
	return security, nil
}

// Start does nothing: the first batch connects.
func (u *uploader) Start(context.Context) error { return nil }

// Stop ends what is under way, and all that comes later.
func (u *uploader) Stop(context.Context) error {
	u.end()
	u.way.CloseIdleConnections()
	return nil
}

// UploadTraces sends a batch. It is bounded by [exportMax].
func (u *uploader) UploadTraces(ctx context.Context, spans []*wire.ResourceSpans) error {
	// The request is another message of the same form, in a package that brings a server along.
	body, err := proto.Marshal(&wire.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(u.stopping, cancel)()
	request, err := http.NewRequestWithContext(
		ctx, http.MethodPost, u.endpoint, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("send spans: %w", err)
	}
	request.Header = u.headers.Clone()
	answer, err := u.client.Do(request)
	if err != nil {
		return fmt.Errorf("send spans: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // It was read.
	said, err := io.ReadAll(io.LimitReader(answer.Body, answerMax))
	if err != nil {
		return fmt.Errorf("read answer to spans: %w", err)
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("send spans: answered %s: %q", answer.Status, said)
	}
	return nil
}
