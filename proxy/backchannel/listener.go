package backchannel

import (
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
func (s *Server) Listener(inner net.Listener) net.Listener {
	return &listener{Listener: inner, greeting: make(map[*greeted]struct{})}
}

type listener struct {
	net.Listener

	mu       sync.Mutex // guards the fields below
	closed   bool
	greeting map[*greeted]struct{} // connections in their handshake
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
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

// Close implements net.Listener.
func (l *listener) Close() error {
	err := l.Listener.Close()
	l.mu.Lock()
	l.closed = true
	greeting := l.greeting
	l.greeting = make(map[*greeted]struct{})
	l.mu.Unlock()
	for g := range greeting {
		_ = g.Conn.Close() // whoever reads from it gets the error
	}
	return err //nolint:wrapcheck // stands for the wrapped listener
}

func (l *listener) forget(g *greeted) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.greeting, g)
}

// greeted is a connection that its listener can close until its handshake is
// over. gRPC tells that by taking away the deadline that it had set for it.
type greeted struct {
	net.Conn
	listener *listener
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
