package health

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what operators see of the checks. Names that existed before are kept.
type metrics struct {
	healthy, up *prometheus.GaugeVec
	latency     *prometheus.HistogramVec
}

func newMetrics(registerer prometheus.Registerer, config Config) (*metrics, error) {
	m := &metrics{
		healthy: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gitaly_praefect_storage_healthy",
			Help: "1 while the storage answers this process, else 0",
		}, []string{"virtual_storage", "gitaly_storage"}),
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gitaly_praefect_node_last_healthcheck_up",
			Help: "1 if the last health check of the storage succeeded, else 0",
		}, []string{"gitaly_storage"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gitaly_praefect_node_latency",
			Help:    "Time that nodes took to answer health checks, in seconds",
			Buckets: config.LatencyBuckets,
		}, []string{"gitaly_storage"}),
	}
	for _, collector := range []prometheus.Collector{m.healthy, m.up, m.latency} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
