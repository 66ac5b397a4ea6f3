package proxy

import (
	"context"
	"errors"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/coordinator"
	"praefect/proxy/relay"
	"praefect/proxy/sidechannel"
)

// read carries a call to a replica, and to another one when that fails before the client was
// given anything.
func (h *Handler) read(ctx context.Context, c *call) error {
	err := h.readReplica(ctx, c)
	if c.method.Anywhere && errors.Is(err, coordinator.ErrRepositoryNotFound) {
		return h.readAnywhere(ctx, c)
	}
	return err
}

func (h *Handler) readReplica(ctx context.Context, c *call) error {
	primaryOnly := c.primaryOnly()
	return h.attempts(c, func(tried []coordinator.Storage) (coordinator.Storage, error) {
		route, err := h.Coordinator.Read(ctx, c.key, coordinator.ReadOptions{
			PrimaryOnly: primaryOnly, Exclude: tried,
		})
		if err != nil {
			return "", routing(err)
		}
		defer route.Done()
		return route.Storage, h.readFrom(ctx, c, place{
			storage: route.Storage, replicaPath: route.ReplicaPath,
		})
	})
}

// readStorage carries a call about a whole storage to any healthy one.
func (h *Handler) readStorage(ctx context.Context, c *call) error {
	return h.attempts(c, func(tried []coordinator.Storage) (coordinator.Storage, error) {
		storage, err := h.Coordinator.StorageRead(ctx, c.key.VirtualStorage, tried)
		if err != nil {
			return "", err
		}
		return storage, h.readFrom(ctx, c, place{storage: storage})
	})
}

// readAnywhere carries a call about a repository that is not known to any healthy node, which says
// in its own words that there is none.
func (h *Handler) readAnywhere(ctx context.Context, c *call) error {
	return h.attempts(c, func(tried []coordinator.Storage) (coordinator.Storage, error) {
		storage, err := h.Coordinator.StorageRead(ctx, c.key.VirtualStorage, tried)
		if err != nil {
			return "", err
		}
		return storage, h.readFrom(ctx, c, place{
			storage: storage, replicaPath: c.key.RelativePath,
		})
	})
}

// attempts makes an attempt on one storage after the other, until one gives an answer or none is
// left. An attempt without storage is one for which none was found.
func (h *Handler) attempts(
	c *call, attempt func(tried []coordinator.Storage) (coordinator.Storage, error),
) error {
	var tried []coordinator.Storage
	var failed error
	for len(tried) < h.config.Tries {
		storage, err := attempt(tried)
		if storage == "" && failed != nil {
			break
		}
		var repeatable *relay.RepeatableError
		if !errors.As(err, &repeatable) {
			c.visit.add(zap.String("storage", string(storage)))
			return err
		}
		tried, failed = append(tried, storage), lasting(failed, repeatable.Err)
		h.metrics.retries.Inc()
		c.visit.log().Warn("read failed on replica", zap.Inline(c.key),
			zap.String("storage", string(storage)), zap.Error(repeatable.Err))
	}
	return failed
}

// lasting returns which of two failures the client is told. That one replica does not know the
// method says little when another one that may know it was not available.
func lasting(before, now error) error {
	if before != nil && status.Code(now) == codes.Unimplemented {
		return before
	}
	return now
}

// readFrom carries the call to one storage.
func (h *Handler) readFrom(ctx context.Context, c *call, from place) error {
	outgoing := h.outgoing(c)
	var beside relay.Aside
	if c.method.Sidechannel && sidechannel.Offered(ctx) {
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
		// An id can be used once, so that each attempt needs its own.
		channel, id, err := h.Sidechannels.Relay(ctx, cancel)
		if err != nil {
			return err
		}
		defer h.closeAside(c, channel)
		outgoing = joined(outgoing, id)
		beside = aside{channel: channel, visit: c.visit}
	}
	from.answers = beside == nil
	to, err := h.destination(c, from, outgoing)
	if err != nil {
		return err
	}
	return h.Relay.Read(ctx, c.stream, c.relayCall(), to, beside)
}

func (h *Handler) closeAside(c *call, channel *sidechannel.Relay) {
	if err := channel.Close(); err != nil {
		c.visit.log().Warn("sidechannel did not close", zap.Error(err))
	}
}

// aside is the sidechannel beside a read.
type aside struct {
	channel *sidechannel.Relay
	visit   *visit
}

// Settle waits until the client has been sent all that the node sent, so that it sees the end of
// that before it sees the status. The node's error says more than the sidechannel's, unless it is
// the answer to a sidechannel that led nowhere: the node may say so before it hears that its call
// is cancelled.
func (a aside) Settle(err error) error {
	failed := a.channel.Wait()
	switch {
	case failed == nil:
		return err
	case err == nil, status.Code(err) == codes.Canceled, sidechannel.Unreached(failed):
		// The call was cancelled because nobody takes the node's bytes any more.
		return failed
	}
	a.visit.log().Info("sidechannel of a failed read failed", zap.Error(failed))
	return err
}

// Begun tells whether the node has opened the sidechannel.
func (a aside) Begun() bool { return a.channel.Opened() }
