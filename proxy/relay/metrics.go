package relay

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// reason says why a destination takes no further part in a call.
type reason string

const (
	reasonUnopened reason = "unopened" // its call could not be started
	reasonFailed   reason = "failed"   // its call ended with an error before the primary's ended
	reasonSlow     reason = "slow"     // it read an upload too slowly
	reasonVote     reason = "vote"     // it did not vote in time
	reasonDrain    reason = "drain"    // it did not end its call in time
)

// words says for people why a node was ejected.
func (r reason) words() string {
	switch r {
	case reasonSlow:
		return "the node read the upload too slowly"
	case reasonVote:
		return "the node did not vote in time"
	case reasonDrain:
		return "the node did not end the call in time"
	case reasonUnopened, reasonFailed:
	}
	return ""
}

// Metrics are the counters of the relay.
type Metrics struct {
	fromClient prometheus.Counter
	toClient   prometheus.Counter
	ejections  *prometheus.CounterVec
	draining   prometheus.Gauge
	cancelled  prometheus.Counter
}

// NewMetrics creates the metrics and registers them, unless registerer is nil.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	factory := promauto.With(registerer)
	bytes := factory.NewCounterVec(prometheus.CounterOpts{
		Name: "gitaly_praefect_relayed_bytes_total",
		Help: "Bytes of messages received from clients and sent to clients.",
	}, []string{"direction"})
	return &Metrics{
		fromClient: bytes.WithLabelValues("from_client"),
		toClient:   bytes.WithLabelValues("to_client"),
		ejections: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_praefect_ejections_total",
			Help: "Nodes that stopped taking part in a write before its end, by reason.",
		}, []string{"storage", "reason"}),
		draining: factory.NewGauge(prometheus.GaugeOpts{
			Name: "gitaly_praefect_draining_calls",
			Help: "Writes that were answered while nodes have not ended them yet.",
		}),
		cancelled: factory.NewCounter(prometheus.CounterOpts{
			Name: "gitaly_praefect_cancelled_node_calls_total",
			Help: "Calls to nodes that were cancelled because the node did not end them in time.",
		}),
	}
}
