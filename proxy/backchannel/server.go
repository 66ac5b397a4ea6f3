package backchannel

import (
	"context"
	"fmt"
	"net"

	"github.com/hashicorp/yamux"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// Server accepts plain and multiplexed gRPC connections on the same listener:
// it is the transport credentials of the gRPC server. One server serves the
// listeners that share their inner credentials. All methods are safe for
// concurrent use.
type Server struct {
	inner credentials.TransportCredentials
	peers *Peers
	log   *zap.Logger
	cfg   Config
}

// NewServer returns a server that secures its connections with inner, looks
// then whether they are multiplexed, and enters those in peers.
func NewServer(
	inner credentials.TransportCredentials, peers *Peers, log *zap.Logger, cfg Config,
) *Server {
	cfg.mustValid()
	return &Server{inner: inner, peers: peers, log: log.Named("backchannel"), cfg: cfg}
}

// Options returns what the gRPC server must be made with. Its listeners must
// come from [Server.Listener].
func (s *Server) Options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(s),
		grpc.ConnectionTimeout(s.cfg.HandshakeTimeout),
	}
}

// ServerHandshake implements credentials.TransportCredentials. gRPC has set a
// deadline on raw, which bounds it.
func (s *Server) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := s.inner.ServerHandshake(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("wrapped server handshake: %w", err)
	}
	head, err := peek(conn)
	if err != nil {
		return nil, nil, err
	}
	if string(head[:]) == magicBackchannel {
		return s.multiplex(conn, info)
	}
	return &unread{Conn: conn, head: head}, info, nil
}

// multiplex accepts the one stream that carries the client's calls.
func (s *Server) multiplex(
	conn net.Conn, info credentials.AuthInfo,
) (net.Conn, credentials.AuthInfo, error) {
	session, err := yamux.Server(newJoined(s.cfg.measure(conn)), s.cfg.yamux(s.log))
	if err != nil {
		return nil, nil, fmt.Errorf("create yamux server: %w", err)
	}
	l := newLink(session, s.cfg)
	stream, err := session.AcceptStream()
	if err != nil {
		l.close()
		return nil, nil, fmt.Errorf("accept yamux stream: %w", err)
	}
	c, err := s.peers.enter(l)
	if err != nil {
		l.close()
		return nil, nil, err
	}
	return newTransport(stream, l, Services{}), AuthInfo{AuthInfo: info, id: c.id, link: l}, nil
}

// ClientHandshake implements credentials.TransportCredentials. A server makes
// no connections.
func (s *Server) ClientHandshake(
	context.Context, string, net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, fmt.Errorf("connect as multiplexing server: %w", ErrNotMultiplexed)
}

// Info implements credentials.TransportCredentials.
func (s *Server) Info() credentials.ProtocolInfo { return s.inner.Info() }

// Clone implements credentials.TransportCredentials. The clone enters its
// connections in the same [Peers].
func (s *Server) Clone() credentials.TransportCredentials {
	clone := *s
	clone.inner = s.inner.Clone()
	return &clone
}

// OverrideServerName implements credentials.TransportCredentials.
func (s *Server) OverrideServerName(name string) error {
	//nolint:staticcheck // deprecated in the interface, and required by it
	if err := s.inner.OverrideServerName(name); err != nil {
		return fmt.Errorf("override server name: %w", err)
	}
	return nil
}
