package coordinator

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what operators see of decisions. Names that existed before are kept.
type metrics struct {
	reads     *prometheus.CounterVec
	cache     *prometheus.CounterVec
	turnWait  prometheus.Histogram
	writes    *prometheus.CounterVec
	elections *prometheus.CounterVec
	retries   prometheus.Counter
	leftOpen  prometheus.Gauge
	turns     turnVectors
}

// groupMetrics are resolved once, since looking up labels costs more than a read.
type groupMetrics struct {
	reads []prometheus.Counter
	turns turnMetrics
}

type cacheCounters struct {
	hit, miss, populate, evict, stale prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer, cached *budget) (*metrics, error) {
	m := &metrics{
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_praefect_read_distribution",
			Help: "Counts read operations directed to the storages",
		}, []string{"virtual_storage", "storage"}),
		cache: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_praefect_uptodate_storages_cache_access_total",
			Help: "Accesses of the cache of routes",
		}, []string{"virtual_storage", "type"}),
		turnWait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "gitaly_praefect_turn_wait_seconds",
			Help:    "Time that writes waited for their turn to commit on a repository",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_praefect_writes_total",
			Help: "Ended writes by outcome",
		}, []string{"virtual_storage", "kind", "outcome"}),
		elections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_praefect_elections_total",
			Help: "Primaries elected because the one before was not healthy or not current",
		}, []string{"virtual_storage"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gitaly_praefect_record_retries_total",
			Help: "Repetitions of records that the database did not answer",
		}),
		leftOpen: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gitaly_praefect_turns_left_open",
			Help: "Turns that have ended here and not yet in the database, which does not answer",
		}),
		turns: newTurnVectors(),
	}
	for _, collector := range append(m.turns.all(),
		m.reads, m.cache, m.turnWait, m.writes, m.elections, m.retries, m.leftOpen,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gitaly_praefect_route_cache_bytes",
			Help: "Memory that the cache of routes takes, about",
		}, func() float64 { return float64(cached.used.Load()) }),
	) {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) group(name VirtualStorage, storages []Storage) groupMetrics {
	group := groupMetrics{turns: m.turns.group(string(name))}
	for _, storage := range storages {
		group.reads = append(group.reads,
			m.reads.WithLabelValues(string(name), string(storage)))
	}
	for _, kind := range writeKinds() {
		// An alert looks for its increase, which a series that begins with 1 does not have.
		m.writes.WithLabelValues(string(name), string(kind), OutcomeUnknown.String())
	}
	return group
}

func (m *metrics) cacheCounters(name VirtualStorage) cacheCounters {
	counter := func(kind string) prometheus.Counter {
		return m.cache.WithLabelValues(string(name), kind)
	}
	return cacheCounters{
		hit: counter("hit"), miss: counter("miss"),
		populate: counter("populate"), evict: counter("evict"), stale: counter("stale"),
	}
}
