package sidechannel

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"

	"praefect/proxy/backchannel"
)

// magic is what the receiving end of a connection tells the stream by.
const magic = "sidechannel"

// Open opens the sidechannel that the caller of the served call with ctx
// offered. It fails when ctx ends, and so does the sidechannel. Errors:
// [ErrNoMetadata], [ErrNoID], backchannel.ErrNotMultiplexed, an answer that is
// not the agreed one, and those for which [Retryable] holds. The caller closes
// what it gets.
func Open(ctx context.Context) (*ServerConn, error) {
	stream, err := openStream(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { abort(stream) })
	return newServerConn(stream, stop), nil
}

// openStream returns a confirmed stream towards the caller.
func openStream(ctx context.Context) (net.Conn, error) {
	id, err := offeredID(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := backchannel.PeerID(ctx); err != nil {
		return nil, fmt.Errorf("sidechannel: fail to extract mux session: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	stream, err := backchannel.OpenStream(ctx)
	if err != nil {
		return nil, &openError{"open stream", err}
	}
	interrupt := context.AfterFunc(ctx, func() { abort(stream) })
	err = greet(stream, id)
	if !interrupt() && err == nil {
		err = &openError{"receive confirmation", context.Cause(ctx)}
	}
	if err != nil {
		abort(stream)
		return nil, err
	}
	return stream, nil
}

// greet presents the id and waits for the confirmation.
func greet(stream net.Conn, id int64) error {
	greeting := binary.BigEndian.AppendUint64([]byte(magic), uint64(id))
	if _, err := stream.Write(greeting); err != nil {
		return &openError{"write stream id", err}
	}
	answer := make([]byte, len(confirmation))
	if _, err := io.ReadFull(stream, answer); err != nil {
		return &openError{"receive confirmation", err}
	}
	if string(answer) != confirmation {
		return fmt.Errorf("sidechannel: expected ok, got %q", answer)
	}
	return nil
}
