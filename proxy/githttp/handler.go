package githttp

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/proxy/gitalypb"
	"praefect/proxy/sidechannel"
)

// Handler serves the repositories of one virtual storage. It is safe for concurrent use.
type Handler struct {
	client       gitalypb.SmartHTTPServiceClient
	sidechannels *sidechannel.Registry
	log          *zap.Logger
	config       Config
	places       chan struct{} // one element for each request in progress
}

// New returns a handler that calls the proxy over conn. The connection must be a multiplexed one
// whose sidechannels the registry accepts; the caller closes it. An error matches [ErrConfig].
func New(
	conn grpc.ClientConnInterface, sidechannels *sidechannel.Registry,
	log *zap.Logger, config Config,
) (*Handler, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	return &Handler{
		client:       gitalypb.NewSmartHTTPServiceClient(conn),
		sidechannels: sidechannels,
		log:          log.Named("githttp"),
		config:       config,
		places:       make(chan struct{}, config.Concurrency),
	}, nil
}

// exchange is one request and its response.
type exchange struct {
	target
	user     string
	protocol string
	duplex   bool // request and answer pass each other
	request  *http.Request
	incoming *incoming
	answer   *answer
}

// ServeHTTP serves one request. When a call fails after the first byte of its answer, the
// connection is cut, so that no client takes the answer for complete.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	control := http.NewResponseController(w)
	x := &exchange{
		request:  r,
		protocol: r.Header.Get("Git-Protocol"),
		incoming: &incoming{body: r.Body, control: control, idle: h.config.IdleTimeout},
		answer:   &answer{writer: w, control: control, idle: h.config.IdleTimeout},
	}
	err := h.serve(x)
	code, text := http.StatusOK, ""
	if err != nil {
		code, text = explain(err)
		if r.Context().Err() != nil && status.Code(err) == codes.Canceled {
			code = statusGone
		}
	}
	h.report(x, code, err, time.Since(start))
	switch {
	case err == nil:
		x.answer.start()
	case x.answer.started:
		panic(http.ErrAbortHandler)
	default:
		x.answer.refuse(code, text)
	}
	if x.duplex {
		x.incoming.drain()
	}
}

// serve finds out what is asked for and by whom, and does it.
func (h *Handler) serve(x *exchange) error {
	var err error
	if x.target, err = parse(x.request); err != nil {
		return err
	}
	if x.user, err = h.authenticate(x.request); err != nil {
		return err
	}
	select {
	case h.places <- struct{}{}:
		defer func() { <-h.places }()
	default:
		return overloaded()
	}
	ctx := x.request.Context()
	if x.advertise {
		x.answer.kind = "application/x-" + x.service + "-advertisement"
		return h.advertise(ctx, x)
	}
	x.answer.kind = "application/x-" + x.service + "-result"
	return h.converse(ctx, x)
}

// converse runs a service while its request is still coming in.
func (h *Handler) converse(ctx context.Context, x *exchange) error {
	// Without this, the first byte of the answer would make the server swallow what is left of
	// the request. A server of another kind, or of HTTP/2, does not. With it, the server would
	// take what is left for the next request of the connection, so there is none.
	_ = x.answer.control.EnableFullDuplex()
	x.duplex = true
	x.answer.writer.Header().Set("Connection", "close")
	body, err := decode(x.request, x.incoming, x.service)
	if err != nil {
		return err
	}
	if x.service == uploadPack {
		return h.fetch(ctx, x, body)
	}
	return h.push(ctx, x, body)
}

// authenticate returns the name that the client gave.
func (h *Handler) authenticate(r *http.Request) (string, error) {
	user, password, _ := r.BasicAuth()
	if h.config.Password == "" {
		return user, nil
	}
	// Hashes have one length, so the time of the comparison tells nothing.
	got, want := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(h.config.Password))
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return "", unauthorized()
	}
	return user, nil
}

// repository returns the repository as the proxy knows it.
func (h *Handler) repository(x *exchange) *gitalypb.Repository {
	return &gitalypb.Repository{
		StorageName:  h.config.Storage,
		RelativePath: x.repository,
		GlRepository: x.repository,
	}
}

// report writes the line about a request.
func (h *Handler) report(x *exchange, code int, err error, duration time.Duration) {
	fields := []zap.Field{
		zap.String("http_method", x.request.Method),
		zap.String("path", x.request.URL.Path),
		zap.String("service", x.service),
		zap.Int("status", code),
		zap.Int64("response_bytes", x.answer.bytes),
		zap.Bool("cut", err != nil && x.answer.started),
		zap.Duration("duration", duration),
	}
	if code >= http.StatusInternalServerError {
		h.log.Warn("request failed", append(fields, zap.Error(err))...)
		return
	}
	h.log.Info("request served", append(fields, zap.Error(err))...)
}
