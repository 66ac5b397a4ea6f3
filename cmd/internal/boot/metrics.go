package boot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
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

// serveMetrics answers GET /metrics on the listener until ctx ends.
func serveMetrics(
	ctx context.Context, listener net.Listener, registry *prometheus.Registry,
) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		Registry: registry, MaxRequestsInFlight: scrapesMax,
	}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout}

	// Scrapes have no state to lose: closing at once is enough.
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // Nothing depends on its error.
	defer stop()

	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}

	return nil
}
