package proxy

import (
	"context"

	"praefect/coordinator"
	"praefect/proxy/relay"
)

// maintain carries a call to all replicas that can be reached and answers when all have ended it:
// with what the first one says, or the first failure.
func (h *Handler) maintain(ctx context.Context, c *call) error {
	route, err := h.Coordinator.Maintenance(ctx, c.key)
	if err != nil {
		return routing(err)
	}
	to, err := h.replicas(c, route)
	if err != nil {
		return err
	}
	fan, err := h.Relay.Open(c.stream, c.relayCall(), to, relay.Unvoted{}, c.visit.log())
	if err != nil {
		return err
	}
	defer fan.Leave(func() {})
	answer := fan.CarryAll()
	failed := answer.Cause
	for _, end := range fan.Ends() {
		failed = firstError(failed, end.Err)
	}
	if failed != nil {
		return firstError(fan.Withhold(), failed)
	}
	return fan.Deliver()
}

// replicas addresses the call to every replica of the route.
func (h *Handler) replicas(
	c *call, route coordinator.MaintenanceRoute,
) ([]relay.Destination, error) {
	places := make([]place, len(route.Storages))
	for i, storage := range route.Storages {
		places[i] = place{storage: storage, replicaPath: route.ReplicaPath}
	}
	return h.destinations(c, places, h.outgoing(c))
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
