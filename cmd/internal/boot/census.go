package boot

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"praefect/coordinator/census"
)

// startCensus lets scrapes see what the database holds: those of /db_metrics, and those of /metrics
// too where the configuration says so.
func (s *server) startCensus(context.Context) error {
	counts, err := census.New(census.Dependencies{
		Cluster:    s.Config.Cluster(),
		Store:      s.store,
		Health:     s.membership,
		Registerer: s.metrics,
	}, s.log.Named("census"), census.Config{
		Interval: time.Duration(s.Config.BackgroundVerification.VerificationInterval),
		Timeout:  time.Duration(s.Config.Prometheus.ScrapeTimeout),
	})
	if err != nil {
		return err
	}
	registries := []prometheus.Registerer{s.databaseMetrics}
	if !s.Config.SeparateDatabaseMetrics {
		registries = append(registries, s.metrics)
	}
	for _, registry := range registries {
		if err := registry.Register(counts); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	s.workers.run(counts.Run)

	return nil
}

// countListening returns what counts connections for notices. One serves both the cache of reads
// and the waits for turns, which were counted apart.
func countListening(registerer prometheus.Registerer) (func(connected bool), error) {
	names := map[string]string{
		"gitaly_praefect_notifications_reconnects_total": "Connections to the database for " +
			"notices of changed routes that were made or lost",
		"gitaly_praefect_lock_release_listener_reconnects_total": "Connections to the database " +
			"for notices of free turns that were made or lost",
	}
	var made, lost []prometheus.Counter
	for name, help := range names {
		states := prometheus.NewCounterVec(
			prometheus.CounterOpts{Name: name, Help: help}, []string{"state"})
		if err := registerer.Register(states); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
		made = append(made, states.WithLabelValues("connected"))
		lost = append(lost, states.WithLabelValues("disconnected"))
	}

	return func(connected bool) {
		counters := lost
		if connected {
			counters = made
		}
		for _, counter := range counters {
			counter.Inc()
		}
	}, nil
}
