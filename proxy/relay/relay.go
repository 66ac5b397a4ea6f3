package relay

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"praefect/transaction"
)

// Call is what the relay has to know about a call from a client.
type Call struct {
	// Method is the name on the wire.
	Method string
	// ClientStreams and ServerStreams tell who sends more than one message.
	ClientStreams, ServerStreams bool
	// Rest are messages after the first that were received from the client already. The relay
	// takes them over. Complete tells that the client sends no more than those.
	Rest     []Frame
	Complete bool
}

// Destination is a node that a call is carried to.
type Destination struct {
	// Name is the name of the node's storage.
	Name transaction.Voter
	// Conn is the connection to the node.
	Conn grpc.ClientConnInterface
	// Metadata is sent to the node. The relay neither changes nor adds any.
	Metadata metadata.MD
	// First is the client's first message as the node shall see it. The relay takes it over.
	First Frame
}

// Relay carries calls. It may be used concurrently.
type Relay struct {
	log     *zap.Logger
	config  Config
	metrics *Metrics
	options []grpc.CallOption

	total    total
	draining atomic.Int64
	tasks    sync.WaitGroup
}

// New creates a relay. An error matches [ErrInvalidConfig].
func New(metrics *Metrics, log *zap.Logger, config Config) (*Relay, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	return &Relay{
		log:     log,
		config:  config,
		metrics: metrics,
		options: []grpc.CallOption{grpc.ForceCodecV2(NewCodec())},
		total:   total{limit: int64(config.TotalBytes)},
	}, nil
}

// DialOptions returns what every connection to a node needs: the [Witness], and no retries by the
// library, because the relay's caller knows better whether a call may be repeated and where.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithStatsHandler(Witness{}), grpc.WithDisableRetry()}
}

// Close waits until no call is draining any more, so that all work handed to [Fan.Leave] is
// done. It must be called after the last handler has returned. When the context ends first it
// returns the context's error and leaves the rest running.
func (r *Relay) Close(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		r.tasks.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for %d draining calls: %w", r.draining.Load(), context.Cause(ctx))
	}
}
