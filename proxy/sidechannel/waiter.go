package sidechannel

import (
	"context"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"
)

// Waiter waits for the sidechannel of one call. All methods are safe for
// concurrent use.
type Waiter struct {
	registry *Registry
	id       int64
	callback func(net.Conn) error

	done chan struct{} // closed when err is final
	err  error         // ErrNotOpened, or what the callback returned

	// stream is set under the registry's lock when the waiter is taken.
	stream net.Conn

	mu      sync.Mutex // orders the handshake's last step and abort
	aborted bool
}

// ID returns what the server must present. It is unique in the registry and
// never used again.
func (w *Waiter) ID() int64 { return w.id }

// Outgoing returns a context for the call whose server may open the
// sidechannel.
func (w *Waiter) Outgoing(ctx context.Context) context.Context {
	md, _ := metadata.FromOutgoingContext(ctx)
	return metadata.NewOutgoingContext(ctx, metadata.Join(md, pair(w.id)))
}

// Wait returns what the callback returned, after it returned and the stream
// is closed. It is for the time after the call's answer: a sidechannel that
// has not been opened by then never will be, and the error is [ErrNotOpened].
func (w *Waiter) Wait() error {
	w.registry.withdraw(w)
	<-w.done
	return w.err
}

// Close ends the sidechannel: reads and writes of the callback fail, and
// Close returns after the callback, with its result. Nobody can open it
// afterwards; if nobody did, the error is [ErrNotOpened]. It can be called
// repeatedly.
func (w *Waiter) Close() error {
	if !w.registry.withdraw(w) {
		select {
		case <-w.done:
		default:
			w.abort()
		}
	}
	<-w.done
	return w.err
}

// abort ends the stream even while somebody reads from it or writes to it.
func (w *Waiter) abort() {
	w.registry.mu.Lock()
	stream := w.stream
	w.registry.mu.Unlock()
	if stream == nil {
		return // withdrawn
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.aborted = true
	abort(stream)
}

// established takes the handshake's deadline away, unless abort has set one.
func (w *Waiter) established(stream net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.aborted {
		_ = stream.SetDeadline(time.Time{}) // cannot fail on a stream
	}
}

// abort ends a stream at once. Closing alone would leave a reader of ours
// waiting for the other end's close.
func abort(stream net.Conn) {
	_ = stream.SetDeadline(time.Unix(1, 0)) // cannot fail on a stream
	_ = stream.Close()                      // reports nothing
}
