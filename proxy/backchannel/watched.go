package backchannel

import (
	"net"
	"sync/atomic"
	"time"
)

// watched is a connection of a gRPC client that tells when it breaks.
type watched struct {
	net.Conn
	broken func(error) // nil when nobody wants to know
	// answered is told of the first byte from the other end; nil like broken.
	answered func()

	// proven is set by the first byte from the other end: before it, a
	// connection that ends was never there.
	proven atomic.Bool
	// ending is set by the first who knows of the end: we ourselves, or the
	// one who finds the connection broken.
	ending atomic.Bool
}

// Read implements net.Conn. Bytes that arrived before the connection broke
// are returned first, so a farewell of the HTTP/2 server is seen before its end.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 && !w.proven.Load() {
		w.proven.Store(true)
		if w.answered != nil {
			w.answered()
		}
	}
	if err != nil {
		w.fail(err)
	}
	return n, err //nolint:wrapcheck // readers compare with io.EOF
}

// Write implements net.Conn.
func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err != nil {
		w.fail(err)
	}
	return n, err //nolint:wrapcheck // as Read
}

// SetWriteDeadline implements net.Conn. On this side of a connection gRPC
// sets deadlines only when it is about to close; an error after that is not
// the peer's.
func (w *watched) SetWriteDeadline(deadline time.Time) error {
	w.ending.Store(true)
	return w.Conn.SetWriteDeadline(deadline) //nolint:wrapcheck // adds nothing
}

// Close implements net.Conn.
func (w *watched) Close() error {
	w.ending.Store(true)
	return w.Conn.Close() //nolint:wrapcheck // adds nothing
}

func (w *watched) fail(err error) {
	if w.ending.Swap(true) {
		return
	}
	if w.broken != nil && w.proven.Load() {
		w.broken(err)
	}
}
