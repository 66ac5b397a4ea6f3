package hooks

import (
	"context"
	"fmt"
	"net"
)

// client is a hook's way to its node. A node that does not answer is waited for: it bounds the
// vote itself, and a frozen node must find Git where it left it.
type client struct {
	payload Payload
	hook    string
}

// vote casts a vote and returns nil when the change may go on.
func (c client) vote(ctx context.Context, phase Phase, hash Hash) error {
	return c.call(ctx, request{Call: callVote, Phase: phase, Hash: hash[:]})
}

// stop says that this primary refuses the change.
func (c client) stop(ctx context.Context) error {
	return c.call(ctx, request{Call: callStop})
}

// hold returns a context that ends when nobody waits for the result of custom hooks any more, or
// the node is gone. The returned function ends it and waits for what was started.
func (c client) hold(ctx context.Context) (context.Context, func()) {
	held, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})

	go func() {
		defer close(done)

		err := c.call(held, request{Call: callHold})
		if err == nil {
			err = ErrOperationEnded
		}
		cancel(err)
	}()

	return held, func() {
		cancel(nil)
		<-done
	}
}

func (c client) call(ctx context.Context, r request) error {
	r.Token, r.Hook = c.payload.Token, c.hook

	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", c.payload.Socket)
	if err != nil {
		return fmt.Errorf("reach node: %w", err)
	}
	defer conn.Close() //nolint:errcheck // The answer was read, or nothing matters.

	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends the read below
	defer stop()

	if err := writeFrame(conn, r); err != nil {
		return err
	}

	var a answer
	if err := readFrame(conn, &a); err != nil {
		return fmt.Errorf("lost node: %w", err)
	}

	return a.err()
}
