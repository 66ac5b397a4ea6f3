package membership

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Results of a renewal.
const (
	resultRenewed = "renewed"
	// resultRefused: the incarnation had ended for the store.
	resultRefused = "refused"
	// resultFailed: the store did not answer, or not in time.
	resultFailed = "failed"
	// resultLate: the store renewed a lease that had ended here.
	resultLate = "late"
)

type metrics struct {
	incarnations prometheus.Counter
	renewals     *prometheus.CounterVec
	latency      prometheus.Histogram
	applied      prometheus.Counter
}

// newMetrics registers them; holds says whether the lease holds.
func newMetrics(registerer prometheus.Registerer, holds func() bool) (*metrics, error) {
	m := &metrics{
		incarnations: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gitaly_praefect_incarnations_total",
			Help: "Leases that this process has taken; each after the first follows a lost one",
		}),
		renewals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_praefect_lease_renewals_total",
			Help: "Renewals of the lease by result: renewed, refused, failed, late",
		}, []string{"result"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "gitaly_praefect_lease_renewal_seconds",
			Help:    "Time that renewals of the lease took, whatever their result",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 8),
		}),
		applied: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gitaly_praefect_invalidations_applied_total",
			Help: "Changes of routes by other processes and this one that were applied",
		}),
	}
	held := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gitaly_praefect_lease_held",
		Help: "1 while the lease of this process holds, else 0",
	}, func() float64 {
		if holds() {
			return 1
		}
		return 0
	})
	for _, collector := range []prometheus.Collector{
		m.incarnations, m.renewals, m.latency, m.applied, held,
	} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
