package backchannel

import "net"

// transport is the stream that carries the calls of the mux client. It lives
// and dies with the link.
type transport struct {
	watched

	link *link
}

func newTransport(stream net.Conn, link *link, services Services) *transport {
	t := &transport{link: link}
	t.Conn, t.answered = stream, services.Answered
	t.broken = func(err error) {
		if services.Broken != nil && !link.closing() {
			services.Broken(err)
		}
	}
	return t
}

// Close ends the link: session, all streams, and the connection below.
func (t *transport) Close() error {
	t.ending.Store(true)
	t.link.close()
	return nil
}
