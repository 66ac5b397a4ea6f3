package sidechannel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"google.golang.org/grpc/metadata"
)

// copyBuffer is what a relay holds for each direction. Larger pieces were
// not faster.
const copyBuffer = 32 << 10

var (
	errRelayClosed   = errors.New("relay closed")
	errRelayFinished = errors.New("relay finished")
)

// Relay passes a sidechannel on: from the server of a call that we made to
// the caller of the call that we serve. It lives for one try of one call. All
// methods are safe for concurrent use.
type Relay struct {
	waiter *Waiter
	cancel context.CancelCauseFunc
}

// Relay prepares for the server of a call to open a sidechannel, and returns
// what must be added to that call's metadata, behind the caller's own value
// or in its place. ctx is that of the served call, whose caller offered a
// sidechannel; when it ends, the relay fails. abandon cancels the call that is
// made: it is told why the relay failed, because a server whose bytes nobody
// takes any more waits until its call ends. Errors: [ErrNoMetadata] and
// [ErrNoID]. The caller closes the relay.
func (r *Registry) Relay(
	ctx context.Context, abandon context.CancelCauseFunc,
) (*Relay, metadata.MD, error) {
	if _, err := offeredID(ctx); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	waiter := r.register(func(node net.Conn) error {
		err := r.relay(ctx, cancel, node)
		if err != nil {
			abandon(err)
		}
		return err
	})
	return &Relay{waiter: waiter, cancel: cancel}, pair(waiter.id), nil
}

// Wait returns when everything that the server sent has been passed on and
// the caller's end is closed. It is called after the server answered its
// call, and before that answer is passed on, so that the caller sees the end
// of the sidechannel first. A sidechannel that was not opened is no error.
// An error is the reason for the call's own if that is Canceled or [Unreached]
// holds, and takes the place of success; another error of the call says more
// than Wait's. For an error of the connection towards the caller [Retryable]
// holds.
func (r *Relay) Wait() error {
	err := r.waiter.Wait()
	if err == nil || errors.Is(err, ErrNotOpened) {
		return nil
	}
	return fmt.Errorf("sidechannel: proxy callback: %w", err)
}

// Opened tells, after [Relay.Wait] has returned, whether the server has opened
// the sidechannel, so that the caller may have been sent some of it.
func (r *Relay) Opened() bool { return !errors.Is(r.waiter.Wait(), ErrNotOpened) }

// Close ends the relay, both streams with it, and waits for it. It can be
// called at any time and repeatedly. It returns nil: whoever wants to know
// the result calls Wait before.
func (r *Relay) Close() error {
	r.cancel(errRelayClosed)
	_ = r.waiter.Close() // the same that Wait returns
	return nil
}

// relay copies in both directions until the node has sent all, or one
// direction fails, or ctx ends. Whatever comes first is the result.
func (r *Registry) relay(
	ctx context.Context, cancel context.CancelCauseFunc, node net.Conn,
) error {
	client, err := openStream(ctx)
	if err != nil {
		err = &unreachedError{err}
		cancel(err)
		return err
	}
	aborted := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(aborted)
		abort(client)
		abort(node)
	})
	uploaded := make(chan struct{})
	go func() {
		defer close(uploaded)
		if err := r.upload(node, client); err != nil {
			cancel(fmt.Errorf("copy from client: %w", err))
		}
	}()
	if err := r.download(client, node); err != nil {
		cancel(fmt.Errorf("copy from node: %w", err))
	}
	cancel(errRelayFinished)
	<-aborted
	<-uploaded
	if cause := context.Cause(ctx); !errors.Is(cause, errRelayFinished) {
		return cause
	}
	return nil
}

// upload passes the client's frames on as they are. They are looked at only
// to see the end of data, without which the client's end is a failure, and to
// refuse what the node would refuse.
func (r *Registry) upload(node io.Writer, client io.Reader) error {
	buffer := r.borrow()
	defer r.buffers.Put(buffer)
	var frames scanner
	for !frames.last {
		n, err := client.Read(buffer[:])
		data, invalid := frames.scan(buffer[:n])
		if _, err := node.Write(buffer[:data]); err != nil {
			return fmt.Errorf("write to node: %w", err)
		}
		switch {
		case invalid != nil:
			return invalid
		case err != nil && !frames.last:
			return unexpected(err)
		}
	}
	return nil
}

// download passes the node's bytes on until the node closes its stream.
func (r *Registry) download(client io.Writer, node io.Reader) error {
	buffer := r.borrow()
	defer r.buffers.Put(buffer)
	for {
		n, err := node.Read(buffer[:])
		if n > 0 {
			if _, err := client.Write(buffer[:n]); err != nil {
				return fmt.Errorf("write to client: %w", err)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read from node: %w", err)
		}
	}
}

// borrow returns a buffer to be put back.
func (r *Registry) borrow() *[copyBuffer]byte {
	buffer, ok := r.buffers.Get().(*[copyBuffer]byte)
	if !ok {
		panic("sidechannel: foreign buffer in the pool")
	}
	return buffer
}
