package repair

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// change is the label that dashboards know these repairs by.
const change = "update"

// kinds are the labels that dashboards know. All repairs are updates: a replica that is not there
// is copied like one that is outdated, and removals are no repairs.
func kinds() []string { return []string{change, "create", "delete", "delete_replica"} }

type metrics struct {
	delay    *prometheus.HistogramVec
	latency  *prometheus.HistogramVec
	inFlight *prometheus.GaugeVec
	results  *prometheus.CounterVec
	claims   prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer, config Config) (*metrics, error) {
	seconds := config.LatencyBuckets
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
		claims: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "gitaly_praefect_reconciliation_scheduling_seconds",
			Help:    "The time spent performing a single reconciliation scheduling run.",
			Buckets: config.ClaimBuckets,
		}),
	}
	for _, kind := range kinds() {
		m.delay.WithLabelValues(kind)
		m.latency.WithLabelValues(kind)
	}
	for _, collector := range []prometheus.Collector{
		m.delay, m.latency, m.inFlight, m.results, m.claims,
	} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
