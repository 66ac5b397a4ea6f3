package registry

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"praefect/transaction"
)

// metrics are what operators see of the votes. Names that existed before are kept.
type metrics struct {
	actions  *prometheus.CounterVec
	delay    prometheus.Observer
	rounds   prometheus.Histogram
	voters   *prometheus.HistogramVec
	votes    *prometheus.CounterVec
	lost     prometheus.Counter
	records  *prometheus.CounterVec
	rejected *prometheus.CounterVec
	late     *prometheus.CounterVec
	ejected  prometheus.Counter
	live     prometheus.Gauge
	evidence *prometheus.CounterVec

	// Resolved once, since looking up labels costs more than the rest of a vote.
	counters map[voteKey]prometheus.Counter
	outcomes map[transaction.Decision]prometheus.Counter
	started  prometheus.Counter
	canceled prometheus.Counter
	invalid  prometheus.Counter
	parts    map[transaction.Evidence]prometheus.Counter
}

type voteKey struct {
	phase    transaction.Phase
	decision transaction.Decision
}

func newMetrics(registerer prometheus.Registerer, config Config) (*metrics, error) {
	delay := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "gitaly_praefect_transactions_delay_seconds",
		Help:    "Delay between casting a vote and reaching quorum",
		Buckets: config.LatencyBuckets,
	}, []string{"action"})
	m := &metrics{
		actions: counters("gitaly_praefect_transactions_total",
			"Total number of transaction actions", "action"),
		delay: delay.WithLabelValues("vote"),
		rounds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "gitaly_praefect_subtransactions_per_transaction_total",
			Help:    "The number of subtransactions created for a single registered transaction",
			Buckets: []float64{0, 1, 2, 4, 8, 16, 32, 256, 2048},
		}),
		voters: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gitaly_praefect_voters_per_transaction_total",
			Help:    "The number of voters a given transaction was created with",
			Buckets: prometheus.LinearBuckets(1, 1, config.VotersMax),
		}, []string{"virtual_storage"}),
		votes: counters("gitaly_praefect_votes_total",
			"Votes by phase and decision", "phase", "decision"),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gitaly_praefect_rounds_lost_total",
			Help: "Rounds that were decided against everybody",
		}),
		records: counters("gitaly_praefect_transaction_records_total",
			"Outcomes of writes that were recorded or, with result failed, were not", "result"),
		rejected: counters("gitaly_praefect_votes_rejected_total",
			"Votes that were not counted", "reason"),
		late: counters("gitaly_praefect_late_confirmations_total",
			"Confirmations that came after the record of their write", "result"),
		ejected: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gitaly_praefect_voters_ejected_total",
			Help: "Voters that others waited for in vain",
		}),
		live: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gitaly_praefect_transactions_live",
			Help: "Transactions under way",
		}),
		evidence: counters("gitaly_praefect_evidence_total",
			"Voters of ended writes by what is known of their part in the last one", "evidence"),
	}
	m.resolve()
	for _, c := range []prometheus.Collector{
		m.actions, delay, m.rounds, m.voters, m.votes, m.lost, m.records, m.rejected, m.late,
		m.ejected, m.live, m.evidence,
	} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func (m *metrics) resolve() {
	m.started = m.actions.WithLabelValues("started")
	m.canceled = m.actions.WithLabelValues("canceled")
	m.invalid = m.actions.WithLabelValues("invalid")
	m.outcomes = map[transaction.Decision]prometheus.Counter{
		transaction.Commit: m.actions.WithLabelValues("committed"),
		transaction.Abort:  m.actions.WithLabelValues("failed"),
		transaction.Stop:   m.actions.WithLabelValues("stopped"),
	}
	m.parts = make(map[transaction.Evidence]prometheus.Counter)
	for evidence := transaction.Untouched; evidence <= transaction.Dissented; evidence++ {
		m.parts[evidence] = m.evidence.WithLabelValues(evidence.String())
	}
	m.counters = make(map[voteKey]prometheus.Counter)
	for phase := transaction.Unknown; phase <= transaction.Preparing; phase++ {
		for decision := transaction.Commit; decision <= transaction.Stop; decision++ {
			m.counters[voteKey{phase, decision}] = m.votes.WithLabelValues(
				phase.String(), decision.String())
		}
	}
}

func (m *metrics) begun(o Options) {
	voters := 1 + len(o.Voting.Secondaries) + len(o.Voting.Learners)
	m.actions.WithLabelValues("registered").Add(float64(voters))
	m.voters.WithLabelValues(o.VirtualStorage).Observe(float64(voters))
	m.live.Inc()
}

func (m *metrics) finished(s transaction.Summary) {
	m.rounds.Observe(float64(s.Rounds))
	m.lost.Add(float64(s.LostRounds))
	m.live.Dec()
	if !s.Prepared {
		return // Nobody voted on a write.
	}
	for _, voter := range s.Voters {
		m.parts[voter.Evidence].Inc()
	}
}

func (m *metrics) decided(phase transaction.Phase, decision transaction.Decision) {
	m.counters[voteKey{phase, decision}].Inc()
	m.outcomes[decision].Inc()
}

func (m *metrics) waited(since time.Time) { m.delay.Observe(time.Since(since).Seconds()) }

func (m *metrics) reject(reason string) {
	m.rejected.WithLabelValues(reason).Inc()
	m.invalid.Inc()
}
