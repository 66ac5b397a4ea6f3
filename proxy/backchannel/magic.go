package backchannel

import (
	"fmt"
	"io"
	"net"
)

// The first bytes of a connection or stream say what it is. An HTTP/2
// connection starts with "PRI * HTTP/", so neither word is ever taken for it.
const (
	magicLen         = 11
	magicBackchannel = "backchannel"
	magicSidechannel = "sidechannel"
)

// peek reads the first bytes of a connection. It blocks until they are there,
// the peer is gone, or the connection's deadline has passed.
func peek(conn net.Conn) ([magicLen]byte, error) {
	var head [magicLen]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return head, fmt.Errorf("peek network stream: %w", err)
	}
	return head, nil
}

// unread is a connection of which a reader has looked at the first bytes
// already; whoever reads from it next sees them again.
type unread struct {
	net.Conn
	head [magicLen]byte
	seen int // how many bytes of head have been read again
}

// Read returns the pushed back bytes first. Like that of any connection it is
// called by one goroutine at a time.
func (u *unread) Read(p []byte) (int, error) {
	if u.seen == magicLen {
		return u.Conn.Read(p) //nolint:wrapcheck // readers compare with io.EOF
	}
	n := copy(p, u.head[u.seen:])
	u.seen += n
	return n, nil
}
