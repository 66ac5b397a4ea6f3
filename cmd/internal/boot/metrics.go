package boot

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"praefect/proxy/telemetry"
)

const (
	// headerTimeout ends HTTP connections that send nothing.
	headerTimeout = 5 * time.Second
	// scrapesMax bounds how many scrapes are answered at once.
	scrapesMax = 4
	// sizeBuckets reach from one byte to a mebibyte in steps of four.
	sizeBuckets = 11
)

// newRegistry returns a registry of the server's own with what every Go program tells about itself.
func newRegistry(version string) (*prometheus.Registry, error) {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "gitlab_build_info",
		Help:        "Version of the running program",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)

	registry := prometheus.NewRegistry()
	for _, collector := range []prometheus.Collector{
		build,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}

	return registry, nil
}

// startMeasuring makes what measures connections and calls to nodes.
func (s *server) startMeasuring() (err error) {
	s.clients, err = telemetry.NewClients(s.metrics, s.Config.Prometheus.GRPCLatencyBuckets)
	if err != nil {
		return err
	}
	sizes := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gitaly_backchannel_yamux_" + name + "_size_bytes", Help: help,
			Buckets: prometheus.ExponentialBuckets(1, 4, sizeBuckets),
		})
	}
	reads := sizes("read", "Bytes that each read of a multiplexed connection returned")
	writes := sizes("write", "Bytes that each write to a multiplexed connection took")
	if err := errors.Join(s.metrics.Register(reads), s.metrics.Register(writes)); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	s.multiplexing = s.Config.Multiplexing()
	s.multiplexing.ReadSizes, s.multiplexing.WriteSizes = reads, writes

	return nil
}

// serveMetrics answers GET /metrics and /db_metrics on the listener, whether the process lives and
// is ready, and below /debug/pprof what it does and where its memory is. It returns what ends that.
func (s *server) serveMetrics(listener net.Listener) func() error {
	registry, database := s.metrics, s.databaseMetrics
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.InstrumentMetricHandler(registry,
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{
			Registry: registry, MaxRequestsInFlight: scrapesMax,
		})))
	mux.Handle("GET /db_metrics", promhttp.HandlerFor(database, promhttp.HandlerOpts{
		MaxRequestsInFlight: scrapesMax,
	}))
	mux.HandleFunc("GET /-/liveness", s.handleLive)
	mux.HandleFunc("GET /-/readiness", s.handleReady)
	// Importing the package registers it with a server that is not used here.
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol) // What "go tool pprof" does.
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout}

	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	return func() error {
		err := server.Close() // A scrape has no state to lose.
		if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}

		return err
	}
}
