package recovery

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"praefect/coordinator"
)

// Results of recoveries and verifications, as labels and in logs.
const (
	// resultReleased: nothing can have been committed.
	resultReleased = "released"
	// resultEqual: all current replicas hold the same.
	resultEqual = "equal"
	// resultDropped: replicas were found to differ, or could not be asked.
	resultDropped = "dropped"
	// resultSuperseded: another process has decided, or will.
	resultSuperseded = "superseded"
	// resultStopped: this process ended, or lost its lease, before anything could be decided.
	resultStopped = "stopped"
	// resultOpen: some replicas could not be asked, the others hold the same.
	resultOpen = "open"
	// resultSplit: replicas differ and it is not known who is right.
	resultSplit = "split"
	// resultLost: no replica that could be asked is there.
	resultLost = "lost"
	// resultBusy: writers kept the verification from its turn, a call was under way that changes
	// replicas without it, or the database did not answer.
	resultBusy = "busy"
)

type metrics struct {
	adoptions     prometheus.Counter
	inFlight      prometheus.Gauge
	recoveries    *prometheus.CounterVec
	dropped       *prometheus.CounterVec
	duration      prometheus.Histogram
	verifications *prometheus.CounterVec
	mismatches    *prometheus.CounterVec
}

func newMetrics(
	registerer prometheus.Registerer, cluster coordinator.Cluster,
) (*metrics, error) {
	m := &metrics{
		adoptions: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gitaly_praefect_recovery_adoptions_total",
			Help: "Writes taken over whose proxy could not bring them to their end",
		}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gitaly_praefect_recoveries_in_flight",
			Help: "Writes taken over and not decided yet; their repositories cannot be written",
		}),
		recoveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_praefect_recoveries_total",
			Help: "Ended recoveries of writes by result: released, equal, dropped, superseded, " +
				"stopped",
		}, []string{"virtual_storage", "result"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_praefect_recovery_dropped_replicas_total",
			Help: "Replicas that a recovery or verification has made outdated",
		}, []string{"virtual_storage", "gitaly_storage", "cause"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "gitaly_praefect_recovery_duration_seconds",
			Help:    "Time from the adoption of a write to its resolution, in seconds",
			Buckets: prometheus.ExponentialBuckets(0.05, 2, 14),
		}),
		verifications: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_praefect_verifications_total",
			Help: "Comparisons of the replicas of a repository by result: equal, dropped, open, " +
				"split, lost, superseded, busy, stopped",
		}, []string{"virtual_storage", "result"}),
		mismatches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_praefect_verification_mismatches_total",
			Help: "Comparisons that found current replicas with different content",
		}, []string{"virtual_storage"}),
	}
	for _, collector := range []prometheus.Collector{
		m.adoptions, m.inFlight, m.recoveries, m.dropped, m.duration, m.verifications,
		m.mismatches,
	} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	for virtual := range cluster.VirtualStorages {
		// An alert looks for its increase, which a series that begins with 1 does not have.
		m.mismatches.WithLabelValues(string(virtual))
	}
	return m, nil
}
