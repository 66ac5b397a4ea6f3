package backchannel

import (
	"net"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
)

// sortingMax bounds the streams of one connection that have been accepted but
// have not said what they are. An honest peer writes at once.
const sortingMax = 256

// incoming serves the streams that the other end of a link opens: HTTP/2 goes
// to a gRPC server, a sidechannel to whoever waits for it.
type incoming struct {
	link     *link
	services Services
	log      *zap.Logger
	patience time.Duration // for the first bytes of a stream

	http2   chan net.Conn // unbuffered: the gRPC server accepts in a loop
	sorting chan struct{} // one token for each stream being sorted
	streams sync.WaitGroup
}

func newIncoming(l *link, s *clientState) *incoming {
	return &incoming{
		link:     l,
		services: s.services,
		log:      s.log,
		patience: s.cfg.HandshakeTimeout,
		http2:    make(chan net.Conn),
		sorting:  make(chan struct{}, sortingMax),
	}
}

// run returns when the session has ended and nobody serves its streams any
// more.
func (in *incoming) run() {
	var serving sync.WaitGroup
	var server *grpc.Server
	if in.services.Server != nil {
		server = in.services.Server()
		serving.Go(func() {
			// It ends with the session, which is no error of the server.
			_ = server.Serve(streamListener{in})
		})
	}
	in.accept()
	if server != nil {
		server.Stop()
	}
	serving.Wait()
	in.streams.Wait()
}

// accept takes every stream at once: a peer may have allowed itself one
// unaccepted stream only, and gives up the connection when that lasts.
func (in *incoming) accept() {
	for {
		stream, err := in.link.session.AcceptStream()
		if err != nil {
			in.log.Debug("session ended", zap.Error(err))
			break
		}
		select {
		case in.sorting <- struct{}{}:
			in.streams.Go(func() { in.sort(stream) })
		default:
			in.log.Warn("stream refused: too many have not said what they are",
				zap.Int("limit", sortingMax))
			_ = stream.Close() // the peer sees the end; there is no more to do
		}
	}
	_ = in.link.session.Close() // its only result is nil
}

// sort finds out what a stream is and hands it on.
func (in *incoming) sort(stream net.Conn) {
	head, err := in.read(stream)
	<-in.sorting
	switch {
	case err != nil:
		in.log.Debug("incoming stream gave no first bytes", zap.Error(err))
	case string(head[:]) == magicSidechannel:
		if in.services.Sidechannel != nil {
			in.services.Sidechannel(stream)
		}
	case in.services.Server != nil:
		select {
		case in.http2 <- &unread{Conn: stream, head: head}:
			return // gRPC owns and closes it
		case <-in.link.session.CloseChan():
		}
	}
	_ = stream.Close() // a stream's close reports nothing
}

func (in *incoming) read(stream net.Conn) ([magicLen]byte, error) {
	// Setting a deadline on a stream cannot fail.
	_ = stream.SetDeadline(time.Now().Add(in.patience))
	head, err := peek(stream)
	_ = stream.SetDeadline(time.Time{}) // as above
	return head, err
}

// streamListener gives the HTTP/2 streams to the gRPC server.
type streamListener struct {
	in *incoming
}

// Accept implements net.Listener.
func (l streamListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.in.http2:
		return conn, nil
	case <-l.in.link.session.CloseChan():
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. The session's end is what closes it.
func (l streamListener) Close() error { return nil }

// Addr implements net.Listener.
func (l streamListener) Addr() net.Addr { return l.in.link.session.LocalAddr() }
