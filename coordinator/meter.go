package coordinator

import (
	"errors"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"praefect/transaction"
)

// turnVectors are what operators see of turns, under the names of the locks that were there before.
type turnVectors struct {
	acquired  *prometheus.CounterVec
	held      *prometheus.GaugeVec
	hold      *prometheus.HistogramVec
	operation *prometheus.HistogramVec
	behind    *prometheus.CounterVec
}

func newTurnVectors() turnVectors {
	const lock = "gitaly_praefect_repo_reference_write_lock"
	return turnVectors{
		acquired: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: lock + "_acquired_total",
			Help: "Writes that took their turn, or waited for it in vain, by result",
		}, []string{"virtual_storage", "result"}),
		held: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: lock + "s_held", Help: "Turns that writes of this process hold",
		}, []string{"virtual_storage"}),
		hold: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: lock + "_hold_duration_seconds", Help: "Time for which writes held their turn",
		}, []string{"virtual_storage"}),
		operation: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: lock + "_operation_duration_seconds",
			Help: "Time that writes took to get their turn, waiting included (trylock), " +
				"or to record their outcome, which ends it (unlock)",
		}, []string{"virtual_storage", "operation"}),
		behind: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_praefect_tx_replications_total",
			Help: "The number of replication jobs scheduled for transactional RPCs",
		}, []string{"reason"}),
	}
}

func (v turnVectors) all() []prometheus.Collector {
	return []prometheus.Collector{v.acquired, v.held, v.hold, v.operation, v.behind}
}

// turnMetrics are those of one virtual storage.
type turnMetrics struct {
	taken, contended, failed prometheus.Counter
	held                     prometheus.Gauge
	hold, wait, record       prometheus.Observer
	behind                   map[string]prometheus.Counter
}

// Reasons why a recorded write leaves a replica behind.
const (
	// behindOutdated: it did not take part, as it was behind already, or its node not healthy.
	behindOutdated = "outdated"
	// behindSilent: nobody voted, and its call was not seen to succeed.
	behindSilent = "no-votes"
	// behindFailed: it was untouched by the votes, and its call failed.
	behindFailed = "node-error-status"
	// behindUncommitted: it voted differently, gave up, or did not confirm in time.
	behindUncommitted = "node-not-committed"
)

func (v turnVectors) group(name string) turnMetrics {
	m := turnMetrics{
		taken:     v.acquired.WithLabelValues(name, "new_acquisition"),
		contended: v.acquired.WithLabelValues(name, "contended"),
		failed:    v.acquired.WithLabelValues(name, "error"),
		held:      v.held.WithLabelValues(name),
		hold:      v.hold.WithLabelValues(name),
		wait:      v.operation.WithLabelValues(name, "trylock"),
		record:    v.operation.WithLabelValues(name, "unlock"),
		behind:    map[string]prometheus.Counter{},
	}
	for _, reason := range []string{
		behindOutdated, behindSilent, behindFailed, behindUncommitted,
	} {
		m.behind[reason] = v.behind.WithLabelValues(reason)
	}
	return m
}

// tried counts an attempt to take a turn.
func (m *turnMetrics) tried(since time.Time, err error) {
	m.wait.Observe(time.Since(since).Seconds())
	switch {
	case err == nil:
		m.taken.Inc()
	case errors.Is(err, ErrBusy):
		m.contended.Inc()
	default:
		m.failed.Inc()
	}
}

// hands takes over a turn; w.mu is held.
func (w *Write) hands(turn *held) {
	w.turn, w.since = turn, time.Now()
	w.group.metrics.turns.held.Inc()
}

// drop returns the turn, or nil, and forgets it; w.mu is held.
func (w *Write) drop() *held {
	turn := w.turn
	w.turn = nil
	if turn != nil {
		w.group.metrics.turns.held.Dec()
		w.group.metrics.turns.hold.Observe(time.Since(w.since).Seconds())
	}
	return turn
}

// countBehind counts the replicas that a recorded write leaves to repair.
func (w *Write) countBehind(result Result) {
	w.mu.Lock()
	lagging, recorded := w.lagging, w.last.recorded.Generation > 0
	w.mu.Unlock()
	if !recorded {
		return
	}
	counters := w.group.metrics.turns.behind
	counters[behindOutdated].Add(float64((w.missing | w.outdated).count()))
	for _, storage := range w.group.storages(lagging) {
		counters[whyBehind(result, transaction.Voter(storage))].Inc()
	}
}

// whyBehind says why a participant is left behind.
func whyBehind(result Result, voter transaction.Voter) string {
	if !result.Votes.Prepared {
		return behindSilent
	}
	vote, _ := result.Votes.Of(voter)
	if vote.Evidence != transaction.Untouched ||
		slices.Contains(result.OK, voter) || slices.Contains(result.Running, voter) {
		return behindUncommitted
	}
	return behindFailed
}
