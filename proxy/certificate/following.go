package certificate

import (
	"context"
	"net"

	"google.golang.org/grpc/credentials"
)

// following does each handshake with what its store holds at that moment.
type following struct{ store *Store }

// ClientHandshake implements credentials.TransportCredentials.
func (f following) ClientHandshake(
	ctx context.Context, authority string, conn net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	//nolint:wrapcheck // Stands for those that it follows.
	return f.store.current.Load().client.ClientHandshake(ctx, authority, conn)
}

// ServerHandshake implements credentials.TransportCredentials.
func (f following) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	//nolint:wrapcheck // As above.
	return f.store.current.Load().server.ServerHandshake(conn)
}

// Info implements credentials.TransportCredentials.
func (f following) Info() credentials.ProtocolInfo { return f.store.current.Load().client.Info() }

// Clone implements credentials.TransportCredentials.
func (f following) Clone() credentials.TransportCredentials { return f }

// OverrideServerName implements credentials.TransportCredentials. Names are those of the dial.
func (following) OverrideServerName(string) error { return nil }
