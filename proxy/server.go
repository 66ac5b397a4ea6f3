package proxy

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"praefect/proxy/auth"
	"praefect/proxy/backchannel"
	"praefect/proxy/gitalypb"
	"praefect/proxy/method"
	"praefect/proxy/relay"
	"praefect/proxy/telemetry"
	"praefect/proxy/tracing"
	"praefect/transaction/registry"
)

const (
	// pingMin is how often clients may ping a connection, used or not. GitLab's do each 20 s.
	pingMin = 10 * time.Second
	// pingAfter is after how long of silence the server pings itself.
	pingAfter = 5 * time.Minute
	// receiveMax is the largest message that may come in; nodes have the same limit.
	receiveMax = 4 << 20
	// streamWindow and connWindow are what a client may send of one call, and of all calls on
	// one connection, before any of it is taken. Fixed windows cost no pings; left to itself
	// the library sends one with nearly every small request to find out how large they should
	// be, up to connWindow.
	streamWindow = 1 << 20
	connWindow   = 16 << 20
	// streamWorkers is how many goroutines of a listener stay to handle one call after the
	// other, so that their stacks need not grow each time. Calls beyond that get goroutines of
	// their own.
	streamWorkers = 32
)

// latencyBuckets are the bounds of the latency histograms unless configured, in seconds.
func latencyBuckets() []float64 {
	return []float64{0.001, 0.005, 0.025, 0.1, 0.5, 1, 10, 30, 60, 300, 1500}
}

// ServerDependencies are what a [Server] works with. None but Tracer and Reports may be
// nil.
type ServerDependencies struct {
	// Handler answers the calls that nodes have to answer.
	Handler *Handler
	// Native registers the services that the proxy answers itself.
	Native func(grpc.ServiceRegistrar) error
	// Verifier admits clients.
	Verifier *auth.Verifier
	// Peers knows the multiplexed connections of clients.
	Peers *backchannel.Peers
	// Tracer makes traces of calls. It may be nil.
	Tracer *tracing.Tracer
	// Reports is told of calls that failed in a way that somebody should look at. It may be nil.
	Reports *telemetry.Sentry
	// Ready says whether health checks succeed.
	Ready      Ready
	Registerer prometheus.Registerer
}

// ServerConfig tunes a [Server].
type ServerConfig struct {
	// Multiplexing holds the bounds of clients' connections. Its zero value means
	// [backchannel.DefaultConfig].
	Multiplexing backchannel.Config
	// LatencyBuckets are the upper bounds in seconds of the latency histograms. Default 1 ms to
	// 25 min in eleven steps.
	LatencyBuckets []float64
	// Logged says which calls get a line in the log.
	Logged LogFilter
	// MaxConnectionAge is after what time a connection is closed once its calls have ended, give or
	// take a tenth, so that clients connect anew and spread over all proxies. 0 means never.
	MaxConnectionAge time.Duration
}

// Server serves clients on any number of listeners. It may be used concurrently.
type Server struct {
	dependencies ServerDependencies
	config       ServerConfig
	log          *zap.Logger
	options      []grpc.ServerOption
	connections  *prometheus.CounterVec
	stopping     chan struct{}

	mu      sync.Mutex // guards the fields below
	servers []serving
	stopped bool
}

// NewServer returns a server without listeners. Errors come from the configuration of the
// connections or from the registerer.
func NewServer(
	dependencies ServerDependencies, log *zap.Logger, config ServerConfig,
) (*Server, error) {
	if config.Multiplexing == (backchannel.Config{}) {
		config.Multiplexing = backchannel.DefaultConfig()
	}
	if err := config.Multiplexing.Validate(); err != nil {
		return nil, fmt.Errorf("validate connections of clients: %w", err)
	}
	if len(config.LatencyBuckets) == 0 {
		config.LatencyBuckets = latencyBuckets()
	}
	s := &Server{
		dependencies: dependencies, config: config, log: log, stopping: make(chan struct{}),
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	return s, nil
}

// prepare makes what all listeners share: the interceptors and their metrics.
func (s *Server) prepare() error {
	calls := grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram(
		grpcprom.WithHistogramBuckets(s.config.LatencyBuckets)))
	around := newAround(s.dependencies.Handler, s.log, s.config.Logged)
	around.tracer, around.reports = s.dependencies.Tracer, s.dependencies.Reports
	s.connections = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gitaly_praefect_connections_total",
		Help: "Total number of connections to Praefect",
	}, []string{"type"})
	for _, collector := range []prometheus.Collector{
		calls, s.connections, around.panics, around.running, around.requests.vector,
	} {
		if err := s.dependencies.Registerer.Register(collector); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	verifier := s.dependencies.Verifier
	named := newStrangers(s.dependencies.Handler.Methods)
	s.options = []grpc.ServerOption{
		grpc.ForceServerCodecV2(relay.NewCodec()),
		grpc.UnknownServiceHandler(s.dependencies.Handler.Serve),
		grpc.ChainStreamInterceptor(around.stream, named.counted(calls.StreamServerInterceptor()),
			around.streamStatus, verifier.Stream),
		grpc.ChainUnaryInterceptor(around.unary, calls.UnaryServerInterceptor(),
			around.unaryStatus, verifier.Unary),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime: pingMin, PermitWithoutStream: true,
		}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: pingAfter, MaxConnectionAge: s.config.MaxConnectionAge,
		}),
		grpc.InitialWindowSize(streamWindow),
		grpc.InitialConnWindowSize(connWindow),
		grpc.MaxRecvMsgSize(receiveMax),
		grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.WaitForHandlers(true),
		grpc.NumStreamWorkers(streamWorkers),
	}
	return nil
}

func newAround(handler *Handler, log *zap.Logger, logged LogFilter) *around {
	methods := handler.Methods
	a := &around{
		pins:     handler.pins,
		named:    map[string]*zap.Logger{},
		kinds:    map[string]func() prometheus.Gauge{},
		log:      log.With(zap.String("system", "grpc"), zap.String("span.kind", "server")),
		methods:  methods,
		statuses: statuses{table: statusTable()},
		requests: newRequests(methods),
		filter:   logged,
		messages: newMessages(),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gitaly_praefect_panics_total",
			Help: "Calls that ended in a panic",
		}),
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gitaly_praefect_calls_in_flight",
			Help: "Calls of clients that are under way",
		}, []string{"method_type"}),
	}
	for _, kind := range []string{
		method.TypeUnary, method.TypeClientStream, method.TypeServerStream, method.TypeBidiStream,
	} {
		a.kinds[kind] = sync.OnceValue(func() prometheus.Gauge {
			return a.running.WithLabelValues(kind)
		})
	}
	for m := range methods.All() {
		kind := method.StreamType(m.ClientStream, m.ServerStream)
		a.named[m.Name] = a.log.Named(component(true)).With(append(called(m.Name, kind),
			zap.String("grpc.meta.method_operation", word(m.Operation)),
			zap.String("grpc.meta.method_scope", word(m.Scope)))...)
	}
	return a
}

// Serve serves the connections of a listener, secured with the given credentials, until the
// server stops, and then returns nil. Both plain and multiplexed connections are welcome. It
// closes the listener.
func (s *Server) Serve(listener net.Listener, security credentials.TransportCredentials) error {
	mux := backchannel.NewServer(security, s.dependencies.Peers, s.log, s.config.Multiplexing)
	server := grpc.NewServer(append(mux.Options(), s.options...)...)
	if err := s.dependencies.Native(server); err != nil {
		server.Stop()
		return errors.Join(fmt.Errorf("register services: %w", err), listener.Close())
	}
	gitalypb.RegisterRefTransactionServer(server, registry.Refusing())
	healthpb.RegisterHealthServer(server, &health{
		ready: s.dependencies.Ready, stopped: s.stopping,
	})
	registerReflection(server, s.dependencies.Handler.Methods)
	entrance := mux.Listener(&counting{Listener: listener, accepted: s.connections.WithLabelValues(
		kindOfListener(listener, security))})
	if !s.enter(serving{server, entrance}) {
		server.Stop()
		return listener.Close() //nolint:wrapcheck // there is nothing to add
	}
	if err := server.Serve(entrance); err != nil {
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	}
	return nil
}

// enter notes a server that Stop has to stop. It refuses when that was called already.
func (s *Server) enter(server serving) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.servers = append(s.servers, server)
	return true
}

// serving is a server and where its connections come in.
type serving struct {
	server   *grpc.Server
	entrance *backchannel.Listener
}

// handshakeWait is how long clients that have just connected may take to say what they want, when
// the server stops. Whoever has a call to make needs milliseconds.
const handshakeWait = time.Second

// Stop closes the listeners, then connections that do not say within a second what they are, and
// waits for the calls under way. When the context ends first, their clients are cut off, and Stop
// goes on to wait for the handlers, which let nodes end their writes; it returns the context's
// error then. Whoever cannot wait for that calls Stop in a goroutine and exits.
func (s *Server) Stop(ctx context.Context) error {
	servers := s.stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		all(servers, func(one serving) {
			patience, cancel := context.WithTimeout(ctx, handshakeWait)
			defer cancel()
			one.entrance.Drain(patience)
			one.server.GracefulStop()
		})
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		all(servers, func(one serving) { one.server.Stop() })
		<-done
		return fmt.Errorf("wait for calls to end: %w", context.Cause(ctx))
	}
}

func (s *Server) stop() []serving {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.stopped = true
		close(s.stopping)
	}
	return s.servers
}

// all does the same with all servers at once.
func all(servers []serving, do func(serving)) {
	var running sync.WaitGroup
	for _, server := range servers {
		running.Go(func() { do(server) })
	}
	running.Wait()
}

// counting counts the connections of a listener.
type counting struct {
	net.Listener
	accepted prometheus.Counter
}

// Accept implements net.Listener.
func (c *counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.accepted.Inc()
	}
	return conn, err //nolint:wrapcheck // gRPC looks for Temporary on it
}

func kindOfListener(listener net.Listener, security credentials.TransportCredentials) string {
	if security.Info().SecurityProtocol == "tls" {
		return "tls"
	}
	return listener.Addr().Network()
}
