package backchannel

import (
	"context"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// AuthInfo is the gRPC peer's AuthInfo of calls that came in over a
// multiplexed connection. It stands for that of the connection below, whose
// methods it has.
type AuthInfo struct {
	credentials.AuthInfo
	id   uint64
	link *link
}

// GetCommonAuthInfo returns the security level of the connection below, which
// gRPC asks for before it sends or accepts credentials.
func (a AuthInfo) GetCommonAuthInfo() credentials.CommonAuthInfo {
	if common, ok := a.AuthInfo.(interface {
		GetCommonAuthInfo() credentials.CommonAuthInfo
	}); ok {
		return common.GetCommonAuthInfo()
	}
	return credentials.CommonAuthInfo{}
}

// PeerID returns the id of the connection on which the call with ctx came in;
// [Peers.Conn] finds the way back with it. It fails with [ErrNotMultiplexed]
// on a plain connection, and when ctx is not that of a served call.
func PeerID(ctx context.Context) (uint64, error) {
	info, err := infoFrom(ctx)
	return info.id, err
}

// OpenStream opens a raw stream towards the caller of the call with ctx, who
// accepts it when its first bytes say what it is; see package sidechannel. It
// gives up when ctx ends. Errors: [ErrNotMultiplexed]; anything else means
// that the connection is ending or that ctx has ended.
func OpenStream(ctx context.Context) (net.Conn, error) {
	info, err := infoFrom(ctx)
	if err != nil {
		return nil, err
	}
	return info.link.open(ctx)
}

func infoFrom(ctx context.Context) (AuthInfo, error) {
	caller, ok := peer.FromContext(ctx)
	if !ok {
		return AuthInfo{}, ErrNotMultiplexed
	}
	info, ok := caller.AuthInfo.(AuthInfo)
	if !ok {
		return AuthInfo{}, ErrNotMultiplexed
	}
	return info, nil
}
