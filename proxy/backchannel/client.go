package backchannel

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// Services is what a [Client] offers to those it connects to.
type Services struct {
	// Server makes the gRPC server for the streams that the other end opens.
	// It is called once for each connection, so what it registers can be
	// bound to the one that was dialled; it must not set credentials. The
	// server is stopped with the connection; built with
	// grpc.WaitForHandlers(true) its handlers have returned when
	// [Client.Close] returns. Nil: the other end cannot call us.
	Server func() *grpc.Server
	// Sidechannel is given every stream that begins as a sidechannel, after
	// these first bytes. It runs in a goroutine of its own, which it keeps
	// as long as it needs the stream; the stream is closed when it returns,
	// and fails when the connection ends. Nil: such streams are closed.
	Sidechannel func(stream net.Conn)
	// Broken is told when a connection on which the other end has answered
	// ends and this end did not close it. It must return at once. A server
	// that says goodbye before it closes is not told of when no call was in
	// flight. Nil: nobody asks.
	Broken func(err error)
	// Answered is told when the other end has answered on a connection for the
	// first time. It must return at once. Nil: nobody asks.
	Answered func()
}

// Client makes multiplexed connections: it is the transport credentials of
// the gRPC client whose calls they carry. All methods are safe for concurrent
// use.
type Client struct {
	inner credentials.TransportCredentials
	state *clientState // shared with clones
}

type clientState struct {
	services Services
	log      *zap.Logger
	cfg      Config

	mu     sync.Mutex // guards the fields below and additions to ends
	closed bool
	links  map[*link]struct{}
	ends   sync.WaitGroup // one for each connection that has not ended
}

// NewClient returns a client that secures its connections with inner and
// multiplexes them afterwards. The caller closes it when the gRPC client that
// uses it is closed.
func NewClient(
	inner credentials.TransportCredentials, services Services, log *zap.Logger, cfg Config,
) *Client {
	cfg.mustValid()
	return &Client{inner: inner, state: &clientState{
		services: services,
		log:      log.Named("backchannel"),
		cfg:      cfg,
		links:    make(map[*link]struct{}),
	}}
}

// ClientHandshake implements credentials.TransportCredentials. The connection
// that it returns is the first stream; closing it ends everything else on the
// same connection.
func (c *Client) ClientHandshake(
	ctx context.Context, authority string, raw net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := c.inner.ClientHandshake(ctx, authority, raw)
	if err != nil {
		return nil, nil, fmt.Errorf("wrapped client handshake: %w", err)
	}
	interrupt := context.AfterFunc(ctx, func() {
		_ = conn.SetDeadline(time.Unix(1, 0)) // fails on a closed one, which is as good
	})
	stream, err := c.state.start(conn)
	if !interrupt() {
		if err == nil {
			_ = stream.Close() // nothing was written to it yet
		}
		err = fmt.Errorf("multiplex connection: %w", context.Cause(ctx))
	}
	if err != nil {
		_ = conn.Close() // the reason to give up is err
		return nil, nil, err
	}
	return stream, info, nil
}

// Close ends all connections and waits until everything that served them has
// returned. No connection can be made afterwards. It returns nil.
func (c *Client) Close() error {
	c.state.mu.Lock()
	c.state.closed = true
	links := make([]*link, 0, len(c.state.links))
	for l := range c.state.links {
		links = append(links, l)
	}
	c.state.mu.Unlock()
	for _, l := range links {
		l.close()
	}
	c.state.ends.Wait()
	return nil
}

// ServerHandshake implements credentials.TransportCredentials. A client never
// is a server on the connections that it makes.
func (c *Client) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, fmt.Errorf("serve as multiplexing client: %w", ErrNotMultiplexed)
}

// Info implements credentials.TransportCredentials.
func (c *Client) Info() credentials.ProtocolInfo { return c.inner.Info() }

// Clone implements credentials.TransportCredentials. Connections of the clone
// are closed by [Client.Close] of either.
func (c *Client) Clone() credentials.TransportCredentials {
	return &Client{inner: c.inner.Clone(), state: c.state}
}

// OverrideServerName implements credentials.TransportCredentials.
func (c *Client) OverrideServerName(name string) error {
	//nolint:staticcheck // deprecated in the interface, and required by it
	if err := c.inner.OverrideServerName(name); err != nil {
		return fmt.Errorf("override server name: %w", err)
	}
	return nil
}

// start turns a connection into a session with one stream of ours.
func (s *clientState) start(conn net.Conn) (net.Conn, error) {
	if _, err := conn.Write([]byte(magicBackchannel)); err != nil {
		return nil, fmt.Errorf("write magic bytes: %w", err)
	}
	session, err := yamux.Client(newJoined(s.cfg.measure(conn)), s.cfg.yamux(s.log))
	if err != nil {
		return nil, fmt.Errorf("create yamux client: %w", err)
	}
	stream, err := session.OpenStream()
	if err != nil {
		_ = session.Close() // its only result is nil
		return nil, fmt.Errorf("open yamux stream: %w", err)
	}
	l := newLink(session, s.cfg)
	if !s.enter(l) {
		l.close()
		return nil, ErrClosed
	}
	in := newIncoming(l, s)
	go func() {
		defer s.leave(l)
		in.run()
	}()
	return newTransport(stream, l, s.services), nil
}

func (s *clientState) enter(l *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.links[l] = struct{}{}
	s.ends.Add(1)
	return true
}

func (s *clientState) leave(l *link) {
	s.mu.Lock()
	delete(s.links, l)
	s.mu.Unlock()
	s.ends.Done()
}
