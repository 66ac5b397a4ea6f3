package relay

import (
	"context"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/transaction"
)

// Reply is what one node says to a call that was given whole.
type Reply struct {
	Node transaction.Voter
	// Err is the node's status, nil when it is OK.
	Err             error
	Header, Trailer metadata.MD
	// Messages are the node's answer. The caller owns them.
	Messages []Frame
}

// Whole carries a call of which every message is there to all destinations at the same time, and
// returns what they say, in their order, when all have ended it or the context has. Nobody votes on
// such a call, so a node must never take the beginning of it for all of it: each gets every message
// or sees its call cancelled. Only the first destination's answer is kept, at most as many bytes as
// a destination may have waiting. Whole takes over the messages of the call.
func (r *Relay) Whole(ctx context.Context, call Call, to []Destination) []Reply {
	defer call.Free()
	replies := make([]Reply, len(to))
	var nodes sync.WaitGroup
	for i := range to {
		w := whole{relay: r, call: call, to: &to[i], reply: &replies[i], keep: i == 0}
		w.messages = append(w.messages, to[i].First)
		for j := range call.Rest {
			w.messages = append(w.messages, call.Rest[j].Share())
		}
		nodes.Go(func() { w.carry(ctx) })
	}
	nodes.Wait()
	return replies
}

// whole is the part of one node.
type whole struct {
	relay    *Relay
	call     Call
	to       *Destination
	messages []Frame
	reply    *Reply
	keep     bool
}

func (w *whole) carry(ctx context.Context) {
	defer freeAll(w.messages)
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(ctx, w.to.Metadata))
	defer cancel()
	w.reply.Node = w.to.Name
	node, err := w.to.Conn.NewStream(ctx, &grpc.StreamDesc{
		ClientStreams: w.call.ClientStreams, ServerStreams: true,
	}, w.call.Method, w.relay.options...)
	if err != nil {
		w.reply.Err = err
		return
	}
	for i := range w.messages {
		w.relay.metrics.fromClient.Add(float64(w.messages[i].Len()))
		if node.SendMsg(&w.messages[i]) != nil {
			// Receiving tells why.
			break
		}
	}
	_ = node.CloseSend() // as above: it does nothing to a call that is over
	w.reply.Err = w.receive(node)
	w.reply.Header, _ = node.Header()
	w.reply.Trailer = trailerOf(node.Trailer())
}

// receive receives the answer and returns the node's status.
func (w *whole) receive(node grpc.ClientStream) error {
	var frame Frame
	defer frame.Free()
	size := 0
	for {
		if err := node.RecvMsg(&frame); err != nil {
			return statusOrNil(err)
		}
		if !w.keep {
			continue
		}
		size += frame.Len()
		if size > w.relay.config.DestinationBytes {
			return status.Errorf(codes.ResourceExhausted, "answer is longer than %d bytes",
				w.relay.config.DestinationBytes)
		}
		w.reply.Messages = append(w.reply.Messages, frame.Share())
	}
}
