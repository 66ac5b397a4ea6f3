package backend

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Probe asks a node whether it serves, on the connection that its calls use.
// Of node only the names count. The deadline of ctx bounds it; without one it
// can wait for ever. Nil means that the node serves. Every error wraps one of
// [ErrUnreachable], [ErrTimeout], [ErrNotServing], [ErrInconclusive] and
// [ErrUnknownNode], and says what happened.
func (p *Pool) Probe(ctx context.Context, node Node) error {
	b, ok := p.backends[node.name()]
	if !ok {
		return fmt.Errorf("probe %s: %w", node, ErrUnknownNode)
	}
	if err := b.probe(ctx); err != nil {
		return fmt.Errorf("probe %s: %w", node, err)
	}
	return nil
}

func (b *backend) probe(ctx context.Context) error {
	breaks := b.breaks.Load()
	var header, trailer metadata.MD
	answer, err := healthpb.NewHealthClient(b.conn).Check(ctx, &healthpb.HealthCheckRequest{},
		grpc.Header(&header), grpc.Trailer(&trailer))
	if err == nil {
		if answer.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			return nil
		}
		return fmt.Errorf("%w: it reports %s", ErrNotServing, answer.GetStatus())
	}
	// An answer of the node has metadata, at least the content type. An
	// error that was made on this side has none.
	answered := len(header)+len(trailer) > 0
	return fmt.Errorf("%w: %w", b.verdict(ctx, status.Code(err), answered, breaks), err)
}

// verdict says what a failed call means. breaks is the number of broken
// connections from before the call.
func (b *backend) verdict(
	ctx context.Context, code codes.Code, answered bool, breaks uint64,
) error {
	switch {
	case code == codes.Canceled, code == codes.ResourceExhausted:
		return ErrInconclusive
	case code == codes.DeadlineExceeded:
		return ErrTimeout
	case answered:
		return ErrNotServing
	case code == codes.Unavailable:
		return b.connection(ctx, breaks)
	default:
		return ErrInconclusive
	}
}

// connection judges a call that failed without the node's doing. The call
// alone does not tell why, so the connection is asked, once it has settled.
func (b *backend) connection(ctx context.Context, breaks uint64) error {
	for b.breaks.Load() == breaks {
		state := b.conn.GetState()
		switch state {
		case connectivity.TransientFailure:
			return ErrUnreachable
		case connectivity.Ready, connectivity.Shutdown:
			return ErrInconclusive
		case connectivity.Idle:
			b.conn.Connect()
		case connectivity.Connecting:
		}
		if !b.conn.WaitForStateChange(ctx, state) {
			return ErrTimeout
		}
	}
	return ErrUnreachable
}
