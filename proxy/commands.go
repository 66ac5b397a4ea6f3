package proxy

import (
	"errors"
	"io"
	"sync/atomic"

	"google.golang.org/grpc"

	"praefect/proxy/relay"
	"praefect/proxy/wire"
)

const (
	// inputField is the field with the input of git receive-pack in every message of a push.
	inputField = 2
	// flush is how that input begins when a client wants nothing: the list of commands is over.
	flush = "0000"
)

// What is known of the commands of a push.
const (
	commandsAwaited = iota
	commandsGiven
	commandsNone
)

// commands is the stream of a push on which the client's first bytes are looked at: do they ask
// git receive-pack to change anything? Git sends an empty list of commands before a large push, to
// find out whether it is let in, and over SSH when everything is up to date. Whatever cannot be
// told counts as a command. The stream may be read by one goroutine while another asks.
type commands struct {
	grpc.ServerStream

	state atomic.Uint32
	begun []byte
}

// watchCommands watches the commands of a call whose first message was received already.
func watchCommands(c *call) *commands {
	watched := &commands{ServerStream: c.stream, begun: make([]byte, 0, len(flush))}
	watched.look(c.message)
	return watched
}

// none tells whether the client surely asked for nothing. It has its last value when the node has
// ended the call well: until then it waits for the commands.
func (w *commands) none() bool { return w != nil && w.state.Load() == commandsNone }

// RecvMsg receives a message and looks at it.
func (w *commands) RecvMsg(message any) error {
	err := w.ServerStream.RecvMsg(message)
	if w.state.Load() != commandsAwaited {
		return err //nolint:wrapcheck // a status, or the end
	}
	frame, relayed := message.(*relay.Frame)
	switch {
	case errors.Is(err, io.EOF):
		w.state.Store(commandsNone)
	case err != nil:
	case relayed && len(frame.Data()) == 1:
		w.look(frame.Data()[0].ReadOnlyData())
	case relayed && frame.Len() == 0:
	default:
		// An empty list comes in a small message, which is in one piece.
		w.state.Store(commandsGiven)
	}
	return err //nolint:wrapcheck // a status, or the end
}

// look takes from a whole message what belongs to the first bytes.
func (w *commands) look(message []byte) {
	input, err := wire.LocateBytes(message, []int32{inputField})
	if err != nil {
		// The node refuses it.
		w.state.Store(commandsGiven)
		return
	}
	missing := cap(w.begun) - len(w.begun)
	w.begun = append(w.begun, input[:min(missing, len(input))]...)
	switch {
	case len(w.begun) < len(flush):
	case string(w.begun) == flush:
		w.state.Store(commandsNone)
	default:
		w.state.Store(commandsGiven)
	}
}
