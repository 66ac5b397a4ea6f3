package proxy

import (
	"context"
	"fmt"
	"iter"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"praefect/coordinator"
	"praefect/proxy/method"
	"praefect/proxy/relay"
	"praefect/proxy/sidechannel"
	"praefect/transaction/registry"
)

// OutcomeKey is the key of the trailer that tells what became of a write.
const OutcomeKey = "praefect-outcome"

// Connections finds connections to a node.
type Connections interface {
	// Conn returns a multiplexed one, on which the node's votes and sidechannels come back. It must
	// be made with [relay.DialOptions].
	Conn(virtualStorage, storage string) (grpc.ClientConnInterface, bool)
	// ReadConn returns one for calls on which nothing comes back but their answers.
	ReadConn(virtualStorage, storage string) (grpc.ClientConnInterface, bool)
}

// Methods finds what is known of a method, and lists all that are known.
type Methods interface {
	Lookup(name string) (*method.Method, bool)
	All() iter.Seq[*method.Method]
}

// Learner finds out about methods that [Methods] lacks.
type Learner interface {
	Learn(ctx context.Context, name string) (*method.Method, error)
}

// Dependencies are what a [Handler] works with. None may be nil.
type Dependencies struct {
	Coordinator  *coordinator.Coordinator
	Registry     *registry.Registry
	Connections  Connections
	Relay        *relay.Relay
	Sidechannels *sidechannel.Registry
	Methods      Methods
	Learner      Learner
	Registerer   prometheus.Registerer
}

// Handler answers the calls that nodes have to answer. It may be used concurrently.
type Handler struct {
	Dependencies
	log     *zap.Logger
	config  Config
	metrics *metrics
	pins    []pin
	intake  relay.Intake
}

// New returns a handler. Errors match [ErrInvalidConfig] or come from the registerer.
func New(dependencies Dependencies, log *zap.Logger, config Config) (*Handler, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	metrics, err := newMetrics(dependencies.Registerer)
	if err != nil {
		return nil, err
	}
	config = config.WithDefaults()
	return &Handler{
		Dependencies: dependencies, log: log, config: config, metrics: metrics,
		pins:   pins(config.Features),
		intake: relay.Intake{Each: config.RequestBytes, All: config.RequestsBytes},
	}, nil
}

// Serve answers one call: it is what a gRPC server is given for methods that it does not know.
// Its errors are those of the table in status.go, or statuses of nodes.
func (h *Handler) Serve(_ any, stream grpc.ServerStream) error {
	name, _ := grpc.MethodFromServerStream(stream)
	called, err := h.lookup(stream.Context(), name)
	if err != nil {
		return err
	}
	h.metrics.called(called)

	c, err := h.arrive(stream, called)
	if err != nil {
		if called.Operation == method.Mutator {
			tell(stream, coordinator.OutcomeNone)
		}
		return err
	}
	defer c.first.Free()

	ctx := stream.Context()
	whole := called.Scope == method.ScopeStorage
	switch {
	case called.Operation == method.Accessor && whole:
		return h.readStorage(ctx, c)
	case called.Operation == method.Accessor:
		return h.read(ctx, c)
	case called.Operation == method.Maintenance:
		return h.maintain(ctx, c)
	}
	write := h.write
	if whole {
		write = h.writeStorage
	}
	outcome := coordinator.OutcomeUnknown // It stays so if the write panics.
	defer func() { tell(stream, outcome) }()
	outcome, err = write(ctx, c)
	return err
}

// lookup returns a method that can be carried.
func (h *Handler) lookup(ctx context.Context, name string) (*method.Method, error) {
	called, known := h.Methods.Lookup(name)
	if !known {
		var err error
		if called, err = h.Learner.Learn(ctx, name); err != nil {
			return nil, err
		}
	}
	if err := refusal(called); err != nil {
		return nil, fmt.Errorf("%w: %s", err, name)
	}
	return called, nil
}

// tell tells the client what became of its write.
func tell(stream grpc.ServerStream, outcome coordinator.Outcome) {
	stream.SetTrailer(metadata.Pairs(OutcomeKey, outcome.String()))
}

// refusal says why calls of a method cannot be carried, or nil. What the proxy answers itself does
// not come here. A partition is one node's own matter: replicas of a repository are in partitions
// of different numbers.
func refusal(m *method.Method) error {
	switch {
	case m.Scope == method.ScopePartition:
		return ErrPartition
	case m.Operation == method.OperationNone, m.Scope == method.ScopeNone, m.Removes(),
		m.Operation == method.Maintenance && m.Scope != method.ScopeRepository:
		return ErrUnknownMethod
	}
	return nil
}
