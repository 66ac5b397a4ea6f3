package repair

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// change is the label that dashboards know these repairs by.
const change = "update"

type metrics struct {
	delay    *prometheus.HistogramVec
	latency  *prometheus.HistogramVec
	inFlight *prometheus.GaugeVec
	results  *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	seconds := prometheus.ExponentialBuckets(0.01, 4, 10)
	m := &metrics{
		delay: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gitaly_praefect_replication_delay",
			Help:    "Time from when a repair was due to when it began, in seconds",
			Buckets: seconds,
		}, []string{"type"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gitaly_praefect_replication_latency",
			Help:    "Time that repairs took, in seconds",
			Buckets: seconds,
		}, []string{"type"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gitaly_praefect_replication_jobs",
			Help: "Number of replication jobs in flight.",
		}, []string{"virtual_storage", "gitaly_storage", "change_type"}),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_praefect_repairs_total",
			Help: "Ended repairs by result: repaired, failed, or postponed before they began",
		}, []string{"virtual_storage", "gitaly_storage", "result"}),
	}
	for _, collector := range []prometheus.Collector{
		m.delay, m.latency, m.inFlight, m.results,
	} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
