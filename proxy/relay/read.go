package relay

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Aside is data that a node sends to the client beside the messages of a call.
type Aside interface {
	// Settle waits until no more of it is under way and returns what the call ends with, given
	// the node's status.
	Settle(status error) error
	// Begun tells whether the client may have been sent some of it.
	Begun() bool
}

// nothingAside is the Aside of a call that has none.
type nothingAside struct{}

// Settle returns the status as it is.
func (nothingAside) Settle(status error) error { return status }

// Begun returns false.
func (nothingAside) Begun() bool { return false }

// Read carries a call to one node and returns the node's status. Messages, headers and trailers
// have reached the client by then, except after a [RepeatableError]. The node's call ends with
// ctx, which is the client's or made from it, or when Read returns.
//
// aside may be nil. It is asked only for calls in which nobody streams.
func (r *Relay) Read(
	ctx context.Context, client grpc.ServerStream, call Call, to Destination, aside Aside,
) error {
	defer to.First.Free()
	ctx = metadata.NewOutgoingContext(ctx, to.Metadata)
	r.metrics.fromClient.Add(float64(to.First.Len()))
	if call.ClientStreams || call.ServerStreams {
		return r.stream(ctx, client, call, &to)
	}
	if aside == nil {
		aside = nothingAside{}
	}
	question := question{method: call.Method, to: &to, aside: aside}
	return r.ask(ctx, client, question)
}

// question is a call of one message in each direction.
type question struct {
	method string
	to     *Destination
	aside  Aside
}

// ask carries a question. The library needs no goroutine for it.
func (r *Relay) ask(ctx context.Context, client grpc.ServerStream, q question) error {
	var header, trailer metadata.MD
	//nolint:gocritic // The capacity is cut, so this is a copy.
	options := append(r.options[:1:1], grpc.Header(&header), grpc.Trailer(&trailer))
	var answer Frame
	defer answer.Free()
	err := q.to.Conn.Invoke(ctx, q.method, &q.to.First, &answer, options...)
	err = q.aside.Settle(err)
	if repeatable(ctx, err) && !q.aside.Begun() {
		return &RepeatableError{Err: err}
	}
	client.SetTrailer(trailerOf(trailer))
	header.Delete("content-type") // is that of one connection
	if headerErr := client.SetHeader(header); err == nil {
		err = headerErr
	}
	if err != nil {
		return err
	}
	r.metrics.toClient.Add(float64(answer.Len()))
	return client.SendMsg(&answer) //nolint:wrapcheck // a status
}

// stream carries a call in which somebody sends more than one message.
func (r *Relay) stream(
	ctx context.Context, client grpc.ServerStream, call Call, to *Destination,
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	description := grpc.StreamDesc{ServerStreams: true, ClientStreams: call.ClientStreams}
	node, err := to.Conn.NewStream(ctx, &description, call.Method, r.options...)
	if err == nil {
		err = node.SendMsg(&to.First)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return orRepeatable(ctx, err)
	}
	if call.ClientStreams {
		r.tasks.Go(func() {
			if err := r.pump(client, node); err != nil {
				cancel(err)
			}
		})
	}
	return r.copyAnswer(ctx, client, node, call.ClientStreams)
}

// pump carries the client's messages after the first until there are no more. An error says that
// the client's side failed, so that the node's call makes no sense any more.
func (r *Relay) pump(client grpc.ServerStream, node grpc.ClientStream) error {
	var frame Frame
	defer frame.Free()
	for {
		err := client.RecvMsg(&frame)
		if errors.Is(err, io.EOF) {
			return node.CloseSend() //nolint:wrapcheck // a status
		}
		if err != nil {
			return err //nolint:wrapcheck // a status
		}
		r.metrics.fromClient.Add(float64(frame.Len()))
		err = node.SendMsg(&frame)
		frame.Free()
		if err != nil {
			return nil
		}
	}
}

// copyAnswer carries the node's messages and then its status. It stops when the client cannot be
// sent to any more. With consumed, messages after the first may have been taken from the client.
func (r *Relay) copyAnswer(
	ctx context.Context, client grpc.ServerStream, node grpc.ClientStream, consumed bool,
) error {
	var frame Frame
	defer frame.Free()
	for begun := false; ; begun = true {
		err := node.RecvMsg(&frame)
		if err != nil && !begun && !consumed && repeatable(ctx, err) {
			return &RepeatableError{Err: err}
		}
		if !begun {
			if err := passHeader(client, node); err != nil {
				return err
			}
		}
		if err != nil {
			client.SetTrailer(trailerOf(node.Trailer()))
			return statusOf(ctx, err)
		}
		r.metrics.toClient.Add(float64(frame.Len()))
		if err := client.SendMsg(&frame); err != nil {
			return err //nolint:wrapcheck // a status
		}
		frame.Free()
	}
}

// passHeader lets the node's header be sent to the client with whatever is sent next.
func passHeader(client grpc.ServerStream, node grpc.ClientStream) error {
	header, err := node.Header()
	if err != nil {
		return err //nolint:wrapcheck // a status
	}
	return client.SetHeader(header) //nolint:wrapcheck // a status
}

// trailerOf takes the details of the node's status out of a trailer, which it changes. The library
// sends those of the status that the client gets; beside another one than the node's, clients would
// take the details for a forged answer.
func trailerOf(trailer metadata.MD) metadata.MD {
	trailer.Delete("grpc-status-details-bin")
	return trailer
}

// statusOf returns the status of a node's call that is over. When the relay cancelled it because
// it could not receive from the client, that is the status.
func statusOf(ctx context.Context, err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	cause := context.Cause(ctx)
	if status.Code(err) == codes.Canceled && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// repeatable tells whether a node's failure says no more than that the node is not available, or
// does not know the method: during an upgrade others may.
func repeatable(ctx context.Context, err error) bool {
	code := status.Code(err)
	return ctx.Err() == nil && (code == codes.Unavailable || code == codes.Unimplemented)
}

// orRepeatable marks the error of a call that the node was not given, if it may be repeated.
func orRepeatable(ctx context.Context, err error) error {
	if repeatable(ctx, err) {
		return &RepeatableError{Err: err}
	}
	return err
}
