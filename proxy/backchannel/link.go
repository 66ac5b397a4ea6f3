package backchannel

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/hashicorp/yamux"
)

// link is one multiplexed connection, whichever end we are.
type link struct {
	session *yamux.Session
	// slots bounds the goroutines in open: as many as the library lets
	// wait for the other end's acceptance.
	slots chan struct{}

	mu      sync.Mutex // guards closed and additions to opening
	closed  bool
	opening sync.WaitGroup
}

func newLink(session *yamux.Session, cfg Config) *link {
	return &link{session: session, slots: make(chan struct{}, cfg.AcceptBacklog)}
}

// open opens a stream towards the other end. The library's own open cannot be
// interrupted, so it runs beside, and a stream that comes too late is closed.
func (l *link) open(ctx context.Context) (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.session.CloseChan():
		return nil, fmt.Errorf("open yamux stream: %w", yamux.ErrSessionShutdown)
	case <-ctx.Done():
		return nil, gaveUp(ctx)
	}
	if !l.begin() {
		<-l.slots
		return nil, ErrClosed
	}
	results := make(chan opened)
	go l.openBeside(ctx, results)
	select {
	case r := <-results:
		if r.err != nil {
			return nil, fmt.Errorf("open yamux stream: %w", r.err)
		}
		return r.stream, nil
	case <-ctx.Done():
		return nil, gaveUp(ctx)
	}
}

// opened is what became of an attempt to open a stream.
type opened struct {
	stream *yamux.Stream
	err    error
}

// openBeside opens a stream and delivers it, or closes it when nobody waits for it any more.
func (l *link) openBeside(ctx context.Context, results chan<- opened) {
	defer l.opening.Done()
	defer func() { <-l.slots }()
	stream, err := l.session.OpenStream()
	select {
	case results <- opened{stream, err}:
	case <-ctx.Done():
		if err == nil {
			_ = stream.Close() // never fails, and nobody waits for it
		}
	}
}

func gaveUp(ctx context.Context) error {
	return fmt.Errorf("open yamux stream: %w", context.Cause(ctx))
}

// begin enters a goroutine of open, unless the link is being closed.
func (l *link) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.opening.Add(1)
	return true
}

// close ends the session with all its streams and the connection below, and
// waits for what was started here. It can be called repeatedly.
func (l *link) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	_ = l.session.Close() // its only result is nil
	l.opening.Wait()
}

// closing tells whether this end has decided to close.
func (l *link) closing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}
