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
)

const (
	// headerTimeout ends HTTP connections that send nothing.
	headerTimeout = 5 * time.Second
	// scrapesMax bounds how many scrapes are answered at once.
	scrapesMax = 4
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

// serveMetrics answers GET /metrics on the listener, and below /debug/pprof what the process does
// and where its memory is. It returns what ends that.
func serveMetrics(listener net.Listener, registry *prometheus.Registry) func() error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		Registry: registry, MaxRequestsInFlight: scrapesMax,
	}))
	// Importing the package registers it with a server that is not used here.
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
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
