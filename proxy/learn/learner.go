package learn

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"praefect/proxy/backend"
	"praefect/proxy/method"
)

// Nodes are who is asked.
type Nodes interface {
	Nodes() []backend.Node
	Conn(virtualStorage, storage string) (grpc.ClientConnInterface, bool)
	// Connections counts the connections to a node that were made.
	Connections(virtualStorage, storage string) uint64
}

// Learner knows what the nodes say of their methods. The caller closes it.
type Learner struct {
	nodes   Nodes
	log     *zap.Logger
	config  Config
	asked   *prometheus.CounterVec
	sources []*source
	closing context.Context //nolint:containedctx // ends the questions, which outlive calls
	shut    context.CancelCauseFunc
	mu      sync.Mutex // guards closed and additions to asking
	closed  bool
	asking  sync.WaitGroup
	now     func() time.Time
}

// New returns a learner that knows nothing yet. Of several storages of one address the first is
// asked. Errors match [ErrInvalidConfig] or come from the registerer.
func New(
	nodes Nodes, registerer prometheus.Registerer, log *zap.Logger, config Config,
) (*Learner, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	l := &Learner{
		nodes: nodes, log: log, config: config.WithDefaults(), now: time.Now,
		asked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitaly_praefect_method_lookups_total",
			Help: "Questions to nodes about methods that the proxy does not know",
		}, []string{"storage", "result"}),
	}
	if err := registerer.Register(l.asked); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	l.closing, l.shut = context.WithCancelCause(context.Background())
	addresses := map[string]bool{}
	for _, node := range nodes.Nodes() {
		if !addresses[node.Address] {
			addresses[node.Address] = true
			l.sources = append(l.sources, &source{node: node})
		}
	}
	return l, nil
}

// Learn returns what the nodes say of a method with a name like "/gitaly.RefService/FindBranch".
// Errors: [ErrUnknown], [ErrUnreachable], and the context's.
func (l *Learner) Learn(ctx context.Context, name string) (*method.Method, error) {
	var ends []<-chan struct{}
	for _, s := range l.sources {
		if ended := l.refresh(s); ended != nil {
			ends = append(ends, ended)
		}
	}
	for _, ended := range ends {
		select {
		case <-ended:
		case <-ctx.Done():
			return nil, fmt.Errorf("learn %s: %w", name, context.Cause(ctx))
		}
	}
	return l.recall(name)
}

// recall returns what was learnt.
func (l *Learner) recall(name string) (*method.Method, error) {
	var found *method.Method
	reached := 0
	for _, s := range l.sources {
		known, answered := s.lookup(name)
		if answered {
			reached++
		}
		if known != nil && (found == nil || careful(known) > careful(found)) {
			found = known
		}
	}
	switch {
	case found != nil:
		return found, nil
	case reached == 0:
		return nil, fmt.Errorf("%w: %s", ErrUnreachable, name)
	case reached < len(l.sources):
		return nil, fmt.Errorf("%w: %s: not by the %d of %d nodes that could be asked",
			ErrUnknown, name, reached, len(l.sources))
	}
	return nil, fmt.Errorf("%w: %s", ErrUnknown, name)
}

// careful orders operations: what is carried as the greater one does no harm if it is a lesser.
func careful(m *method.Method) int {
	switch m.Operation {
	case method.Mutator:
		return 2
	case method.Maintenance:
		return 1
	case method.Accessor, method.OperationNone:
	}
	return 0
}

// refresh asks a node if that is due. It returns what to wait for, nil if there is nothing.
func (l *Learner) refresh(s *source) <-chan struct{} {
	made := l.nodes.Connections(s.node.VirtualStorage, s.node.Storage)
	ended, put := s.begin(made, l.now(), l.config)
	if put != nil && !l.start(func() { l.ask(s) }) {
		s.end(nil, errClosed, l.now())
	}
	return ended
}

// start runs what [Learner.Close] waits for.
func (l *Learner) start(run func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.asking.Go(run)
	return true
}

// ask puts the question to a node and keeps the answer.
func (l *Learner) ask(s *source) {
	ctx, cancel := context.WithTimeout(l.closing, l.config.Timeout)
	defer cancel()
	log := l.log.With(zap.Object("node", s.node))
	conn, ok := l.nodes.Conn(s.node.VirtualStorage, s.node.Storage)
	if !ok {
		s.end(nil, backend.ErrUnknownNode, l.now())
		return
	}
	described, err := describe(ctx, conn, l.config)
	result := "answered"
	if err != nil {
		result = "failed"
		log.Warn("node does not tell its methods", zap.Error(err))
	}
	l.asked.WithLabelValues(s.node.Storage, result).Inc()
	var known map[string]*method.Method
	if err == nil {
		known = described.methods(method.Builtin(), log)
		log.Info("node told its methods", zap.Int("new", len(known)))
	}
	s.end(known, err, l.now())
}

// Close ends the questions under way and waits for them. Calls that wait go on with what is known.
// It returns nil.
func (l *Learner) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.shut(errClosed)
	l.asking.Wait()
	return nil
}
