package relay

import (
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// answer passes the primary's messages to the client. The message of a method that answers once
// is held back until the outcome of the call is known.
type answer struct {
	client  grpc.ServerStream
	streams bool

	// silent is set once no further message may be sent.
	silent atomic.Bool
	// mu guards the fields below. It is held while a message is sent.
	mu    sync.Mutex
	begun bool
	held  *Frame
}

// pass takes over a message and returns how many bytes of it were sent to the client.
func (a *answer) pass(frame *Frame, header metadata.MD) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer frame.Free()
	if a.silent.Load() {
		return 0
	}
	if !a.streams {
		a.hold(frame)
		return 0
	}
	if err := a.send(frame, header); err != nil {
		// The client is gone, which its context tells as well. The node is read to its end.
		a.silent.Store(true)
		return 0
	}
	return frame.Len()
}

// hold keeps a reference to the message, in place of an earlier one that a node should not have
// sent.
func (a *answer) hold(frame *Frame) {
	held := frame.Share()
	a.release()
	a.held = &held
}

// send sends a message, with the header if it is the first.
func (a *answer) send(frame *Frame, header metadata.MD) error {
	if !a.begun {
		if err := a.client.SetHeader(header); err != nil {
			return err //nolint:wrapcheck // a status
		}
		a.begun = true
	}
	return a.client.SendMsg(frame) //nolint:wrapcheck // a status
}

// finish sends the message that is held, or else lets the header go with the status. It returns
// how many bytes were sent.
func (a *answer) finish(header metadata.MD) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer a.release()
	if a.held == nil || a.silent.Load() {
		if a.begun {
			return 0, nil
		}
		return 0, a.client.SetHeader(header) //nolint:wrapcheck // a status
	}
	if err := a.send(a.held, header); err != nil {
		return 0, err
	}
	return a.held.Len(), nil
}

// silence makes sure that no further message is sent. One that is being sent already is not waited
// for: a client that takes nothing would keep the call from ending.
func (a *answer) silence() {
	a.silent.Store(true)
	if a.streams {
		return // Nothing is held.
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.release()
}

// release frees the message that is held. The caller holds the lock.
func (a *answer) release() {
	if a.held != nil {
		a.held.Free()
		a.held = nil
	}
}
