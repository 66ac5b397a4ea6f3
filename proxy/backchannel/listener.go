package backchannel

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// userTimeout is how long sent bytes may stay unacknowledged before a TCP
// connection counts as broken. It is what gRPC sets by default on connections
// whose type it knows; ours hide it.
const userTimeout = 20 * time.Second

// Listener wraps the listener of a gRPC server that was made with
// [Server.Options]. Closing it, which gRPC does first when it stops, also
// closes the connections that have not finished their handshake: gRPC waits
// for these before it looks at any other, even when it is told to stop at
// once, and a peer that connects and stays silent would hold it up.
func (s *Server) Listener(inner net.Listener) *Listener {
	return &Listener{
		Listener: inner, greeting: make(map[*greeted]struct{}),
		ended: make(chan struct{}), quiet: make(chan struct{}),
	}
}

// Listener is what [Server.Listener] returns.
type Listener struct {
	net.Listener
	// ended is closed by Close, quiet when nothing is accepted any more and no
	// connection is in its handshake.
	ended, quiet chan struct{}

	mu       sync.Mutex // guards the fields below
	draining bool
	refused  bool
	closed   bool
	greeting map[*greeted]struct{} // connections in their handshake
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		if l.refuse() {
			<-l.ended // gRPC takes an error before its own end for a failure
		}
		return nil, err //nolint:wrapcheck // gRPC looks for Temporary on it
	}
	if err := setUserTimeout(conn, userTimeout); err != nil {
		_ = conn.Close() // a socket that takes no option is dead already
		return nil, temporaryError{fmt.Errorf("set user timeout: %w", err)}
	}
	g := &greeted{Conn: conn, listener: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = conn.Close() // nobody has seen it
		return nil, net.ErrClosed
	}
	l.greeting[g] = struct{}{}
	return g, nil
}

// refuse notes that nothing more is accepted, and says whether that was asked
// for by Drain.
func (l *Listener) refuse() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.draining || l.closed {
		return false
	}
	if !l.refused {
		l.refused = true
		l.settle()
	}
	return true
}

// settle closes quiet when there is nothing left to wait for; mu is held.
func (l *Listener) settle() {
	if l.refused && len(l.greeting) == 0 {
		select {
		case <-l.quiet:
		default:
			close(l.quiet)
		}
	}
}

// Drain accepts no more connections, and returns when those that were have
// finished their handshake, or when ctx ends: a server that stops turns away
// whoever is still shaking hands, which a client with a call to make would
// take for an outage. Another process may go on accepting on the same socket.
func (l *Listener) Drain(ctx context.Context) {
	l.mu.Lock()
	l.draining = true
	l.mu.Unlock()
	_ = l.Listener.Close() // Close tells
	select {
	case <-l.quiet:
	case <-ctx.Done():
	}
}

// Close implements net.Listener.
func (l *Listener) Close() error {
	err := l.Listener.Close()
	l.mu.Lock()
	if l.draining {
		err = nil // it was closed before
	}
	if !l.closed {
		l.closed = true
		close(l.ended)
	}
	greeting := l.greeting
	l.greeting = make(map[*greeted]struct{})
	l.mu.Unlock()
	for g := range greeting {
		_ = g.Conn.Close() // whoever reads from it gets the error
	}
	return err
}

func (l *Listener) forget(g *greeted) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.greeting, g)
	l.settle()
}

// greeted is a connection that its listener can close until its handshake is
// over. gRPC tells that by taking away the deadline that it had set for it.
type greeted struct {
	net.Conn
	listener *Listener
}

// SetDeadline implements net.Conn.
func (g *greeted) SetDeadline(deadline time.Time) error {
	if deadline.IsZero() {
		g.listener.forget(g)
	}
	return g.Conn.SetDeadline(deadline) //nolint:wrapcheck // adds nothing
}

// Close implements net.Conn.
func (g *greeted) Close() error {
	g.listener.forget(g)
	return g.Conn.Close() //nolint:wrapcheck // adds nothing
}

// temporaryError lets gRPC go on accepting: one connection failed, not the
// listener.
type temporaryError struct {
	error
}

// Temporary is what gRPC asks for.
func (temporaryError) Temporary() bool { return true }
