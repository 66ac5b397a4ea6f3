package backchannel

import (
	"net"
	"sync/atomic"
	"time"
)

// transport is the stream that carries the calls of the mux client. It lives
// and dies with the link.
type transport struct {
	net.Conn
	link   *link
	broken func(error) // nil when nobody wants to know

	// proven is set by the first byte from the other end: before it, a
	// connection that ends was never there.
	proven atomic.Bool
	// ending is set by the first who knows of the end: we ourselves, or the
	// one who finds the connection broken.
	ending atomic.Bool
}

// Read implements net.Conn. Bytes that arrived before the connection broke
// are returned first, so a farewell of the HTTP/2 server is seen before its end.
func (t *transport) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	if n > 0 && !t.proven.Load() {
		t.proven.Store(true)
	}
	if err != nil {
		t.fail(err)
	}
	return n, err //nolint:wrapcheck // readers compare with io.EOF
}

// Write implements net.Conn.
func (t *transport) Write(p []byte) (int, error) {
	n, err := t.Conn.Write(p)
	if err != nil {
		t.fail(err)
	}
	return n, err //nolint:wrapcheck // as Read
}

// SetWriteDeadline implements net.Conn. On this side of a connection gRPC
// sets deadlines only when it is about to close; an error after that is not
// the peer's.
func (t *transport) SetWriteDeadline(deadline time.Time) error {
	t.ending.Store(true)
	return t.Conn.SetWriteDeadline(deadline) //nolint:wrapcheck // adds nothing
}

// Close ends the link: session, all streams, and the connection below.
func (t *transport) Close() error {
	t.ending.Store(true)
	t.link.close()
	return nil
}

func (t *transport) fail(err error) {
	if t.ending.Swap(true) || t.link.closing() {
		return
	}
	if t.broken != nil && t.proven.Load() {
		t.broken(err)
	}
}
