package backchannel

import "errors"

var (
	// ErrNotMultiplexed says that a call came in over a connection that
	// carries plain gRPC, so there is no way back to the caller.
	ErrNotMultiplexed = errors.New("non-multiplexed connection")

	// ErrNoPeer says that the connection with the given peer id has ended, or
	// that there never was one.
	ErrNoPeer = errors.New("no backchannel for peer")

	// ErrClosed says that a connection, or whoever makes them, was closed by
	// this side.
	ErrClosed = errors.New("backchannel closed")
)
