package backchannel

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc/credentials"
)

// Plain returns the transport credentials of a gRPC client whose connections
// are secured with inner and not multiplexed: whoever is called cannot call
// back or open streams, and nothing is spent on that. broken is told of a
// connection's end as [Services].Broken is, and may be nil.
func Plain(
	inner credentials.TransportCredentials, broken func(err error),
) credentials.TransportCredentials {
	return &plain{TransportCredentials: inner, broken: broken}
}

type plain struct {
	credentials.TransportCredentials

	broken func(error)
}

// ClientHandshake implements credentials.TransportCredentials.
func (p *plain) ClientHandshake(
	ctx context.Context, authority string, raw net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := p.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		return nil, nil, fmt.Errorf("wrapped client handshake: %w", err)
	}
	return &watched{Conn: conn, broken: p.broken}, info, nil
}

// Clone implements credentials.TransportCredentials.
func (p *plain) Clone() credentials.TransportCredentials {
	return &plain{TransportCredentials: p.TransportCredentials.Clone(), broken: p.broken}
}
