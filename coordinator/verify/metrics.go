package verify

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"praefect/coordinator"
)

// Results of a look at a replica.
const (
	resultValid   = "valid"
	resultInvalid = "invalid"
	resultError   = "error"
)

type metrics struct {
	dequeued, completed *prometheus.CounterVec
	differences         *prometheus.CounterVec
	released            prometheus.Counter
}

// newMetrics makes all series at once, so that their rates are right from the start.
func newMetrics(
	registerer prometheus.Registerer, cluster coordinator.Cluster,
) (*metrics, error) {
	m := &metrics{
		dequeued: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_praefect_verification_jobs_dequeued_total",
			Help: "Number of verification jobs dequeud.",
		}, []string{"virtual_storage", "storage"}),
		completed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_praefect_verification_jobs_completed_total",
			Help: "Number of verification jobs completed and their result",
		}, []string{"virtual_storage", "storage", "result"}),
		differences: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_praefect_verification_differences_total",
			Help: "Repositories whose replicas had different checksums",
		}, []string{"virtual_storage"}),
		released: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gitaly_praefect_stale_verification_leases_released_total",
			Help: "Number of stale verification leases released.",
		}),
	}
	for virtual, config := range cluster.VirtualStorages {
		m.differences.WithLabelValues(string(virtual))
		for _, storage := range config.Storages {
			m.dequeued.WithLabelValues(string(virtual), string(storage))
			for _, result := range []string{resultValid, resultInvalid, resultError} {
				m.completed.WithLabelValues(string(virtual), string(storage), result)
			}
		}
	}
	for _, collector := range []prometheus.Collector{
		m.dequeued, m.completed, m.differences, m.released,
	} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) complete(audit coordinator.Audit, result string) {
	m.completed.WithLabelValues(
		string(audit.Key.VirtualStorage), string(audit.Storage), result).Inc()
}
