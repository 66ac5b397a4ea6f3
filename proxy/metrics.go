package proxy

import (
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"praefect/proxy/method"
)

// metrics are what operators see of relayed calls. Names that existed before are kept.
type metrics struct {
	types   *prometheus.CounterVec
	retries prometheus.Counter
	// read counts the most frequent of the types.
	read func() prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		types: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_praefect_method_types",
			Help: "Relayed calls by what they do",
		}, []string{"method_type"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gitaly_praefect_read_retries_total",
			Help: "Reads that were carried to another replica because one failed",
		}),
	}
	for _, collector := range []prometheus.Collector{m.types, m.retries} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	m.read = sync.OnceValue(func() prometheus.Counter { return m.ofType(method.Accessor) })
	return m, nil
}

// called counts a call.
func (m *metrics) called(called *method.Method) {
	if called.Operation == method.Accessor {
		m.read().Inc()
		return
	}
	m.ofType(called.Operation).Inc()
}

func (m *metrics) ofType(operation method.Operation) prometheus.Counter {
	return m.types.WithLabelValues(operation.String())
}
