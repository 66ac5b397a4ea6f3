package proxy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/coordinator"
	"praefect/proxy/relay"
)

// writeStorage carries a write that concerns a whole storage to every healthy node and answers when
// all have ended it. Nobody votes on it and nothing repairs it, so it succeeds only if all do.
// Nodes are given the request once it is here whole, and end it even if the client goes away: such
// requests replace what a node knows, so half of one does harm.
func (h *Handler) writeStorage(ctx context.Context, c *call) (coordinator.Outcome, error) {
	carried := c.relayCall()
	if c.method.ClientStream {
		rest, done, err := h.intake.Receive(c.stream)
		if err != nil {
			return coordinator.OutcomeNone, err
		}
		defer done()
		carried.Rest = rest
	}
	to, err := h.storages(c)
	if err != nil {
		carried.Free()
		return coordinator.OutcomeNone, err
	}
	ctx, cancel := h.bounded(ctx)
	defer cancel()
	replies := h.Relay.Whole(ctx, carried, to)
	defer freeReplies(replies)
	outcome, err := concludeStorage(replies)
	c.visit.add(zap.Stringer("outcome", outcome), zap.Int("storages", len(replies)))
	if err != nil {
		return outcome, err
	}
	return outcome, c.deliver(replies[0])
}

// storages addresses the call to every healthy node.
func (h *Handler) storages(c *call) ([]relay.Destination, error) {
	storages, err := h.Coordinator.StorageWrite(c.key.VirtualStorage)
	if err != nil {
		return nil, err
	}
	places := make([]place, len(storages))
	for i, storage := range storages {
		places[i] = place{storage: storage}
	}
	return h.destinations(c, places, h.outgoing(c))
}

// destinations addresses the call to several nodes that are told the same beside the messages.
func (h *Handler) destinations(
	c *call, places []place, outgoing metadata.MD,
) ([]relay.Destination, error) {
	all := make([]relay.Destination, 0, len(places))
	for _, place := range places {
		to, err := h.destination(c, place, outgoing)
		if err != nil {
			relay.FreeAll(all)
			return nil, err
		}
		all = append(all, to)
	}
	return all, nil
}

// concludeStorage says what became of the write, and names the storages that failed it. The code is
// that of the first, unless it invites clients to try again although other nodes are done.
func concludeStorage(replies []relay.Reply) (coordinator.Outcome, error) {
	var failed []string
	var first *status.Status
	for _, reply := range replies {
		if reply.Err == nil {
			continue
		}
		said := status.Convert(reply.Err)
		failed = append(failed, fmt.Sprintf("%q: %s", reply.Node, said.Message()))
		if first == nil {
			first = said
		}
	}
	if first == nil {
		return coordinator.OutcomeRecorded, nil
	}
	outcome := coordinator.OutcomePartial
	if len(failed) == len(replies) {
		outcome = coordinator.OutcomeUnknown
	}
	answer := first.Proto()
	answer.Message = fmt.Sprintf("%d of %d storages failed: %s",
		len(failed), len(replies), strings.Join(failed, "; "))
	if slices.Contains(retried(), first.Code()) {
		answer.Code = int32(codes.Internal)
	}
	return outcome, status.FromProto(answer).Err()
}

// retried are the codes after which clients try again by themselves, and those that would tell of
// the client itself.
func retried() []codes.Code {
	return []codes.Code{
		codes.Unavailable, codes.Aborted, codes.ResourceExhausted,
		codes.Canceled, codes.DeadlineExceeded,
	}
}

// deliver answers the client as a node did.
func (c *call) deliver(reply relay.Reply) error {
	c.stream.SetTrailer(reply.Trailer)
	header := reply.Header.Copy()
	header.Delete("content-type") // is that of one connection
	if err := c.stream.SetHeader(header); err != nil {
		return err //nolint:wrapcheck // a status
	}
	for i := range reply.Messages {
		if err := c.stream.SendMsg(&reply.Messages[i]); err != nil {
			return err //nolint:wrapcheck // a status
		}
	}
	return nil
}

func freeReplies(replies []relay.Reply) {
	for _, reply := range replies {
		for i := range reply.Messages {
			reply.Messages[i].Free()
		}
	}
}
