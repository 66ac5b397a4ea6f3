package boot

import (
	"context"
	"errors"

	"praefect/coordinator"
	"praefect/coordinator/health"
	"praefect/proxy/backend"
)

// prober asks nodes for the health checker over the connections that calls use.
type prober struct{ pool *backend.Pool }

// Probe implements [health.Prober].
func (p prober) Probe(
	ctx context.Context, virtualStorage coordinator.VirtualStorage, storage coordinator.Storage,
) (health.Verdict, error) {
	err := p.pool.Probe(ctx, backend.Node{
		VirtualStorage: string(virtualStorage), Storage: string(storage),
	})

	return verdict(err), err
}

// verdict says what the answer to a probe means for the node's health.
func verdict(err error) health.Verdict {
	switch {
	case err == nil:
		return health.Serving
	case errors.Is(err, backend.ErrTimeout):
		return health.Missed
	case errors.Is(err, backend.ErrUnreachable), errors.Is(err, backend.ErrNotServing),
		errors.Is(err, backend.ErrUnknownNode):
		return health.Refused
	default:
		return health.Inconclusive
	}
}
