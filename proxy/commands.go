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
	// listMax is the largest message in pieces that is put together to look at it.
	listMax = 256 << 10
	// flush is how that input begins when a client wants nothing: the list of commands is over.
	flush = "0000"
)

// What is known of the commands of a push.
const (
	commandsAwaited = iota
	commandsGiven
	commandsNone
)

// commands is the stream of a push on which the list of commands is looked at. Does it ask git
// receive-pack to change anything? And to delete something? Git sends an empty list of commands
// before a large push, to find out whether it is let in, and over SSH when everything is up to
// date. Whatever cannot be told counts as a command, and as a deletion. The stream may be read by
// one goroutine while another asks.
type commands struct {
	grpc.ServerStream

	state atomic.Uint32
	begun []byte
	// plain says that the list has come to its end and asks for no deletion, single that it has
	// and asks for one change at most.
	plain, single atomic.Bool
	list          commandList
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

// mayDelete tells whether the client may have asked to delete references.
func (w *commands) mayDelete() bool { return w != nil && !w.none() && !w.plain.Load() }

// mayDeleteBeside tells whether the client may have asked to delete references and for other
// changes as well. The answer does not change any more once a node votes: git reads the whole list
// before.
func (w *commands) mayDeleteBeside() bool { return w.mayDelete() && !w.single.Load() }

// RecvMsg receives a message and looks at it.
func (w *commands) RecvMsg(message any) error {
	err := w.ServerStream.RecvMsg(message)
	if w.list.over && w.state.Load() != commandsAwaited {
		return err //nolint:wrapcheck // a status, or the end
	}
	switch {
	case err == nil:
		w.see(message)
	case errors.Is(err, io.EOF):
		w.state.CompareAndSwap(commandsAwaited, commandsNone)
	}
	return err //nolint:wrapcheck // a status, or the end
}

// see looks at a message that was received.
func (w *commands) see(message any) {
	frame, relayed := message.(*relay.Frame)
	switch {
	case relayed && len(frame.Data()) == 1:
		w.look(frame.Data()[0].ReadOnlyData())
	case relayed && frame.Len() == 0:
	case relayed && frame.Len() <= listMax:
		// An empty list comes in a small message, which is in one piece.
		w.state.CompareAndSwap(commandsAwaited, commandsGiven)
		w.look(frame.Data().Materialize())
	default:
		w.state.CompareAndSwap(commandsAwaited, commandsGiven)
		w.list.over = true
	}
}

// look takes from a whole message what belongs to the first bytes.
func (w *commands) look(message []byte) {
	input, err := wire.LocateBytes(message, []int32{inputField})
	if err != nil {
		// The node refuses it.
		w.state.CompareAndSwap(commandsAwaited, commandsGiven)
		w.list.over = true
		return
	}
	w.list.read(input)
	w.plain.Store(w.list.over && !w.list.deletes)
	w.single.Store(w.list.over && !w.list.several)
	if w.state.Load() != commandsAwaited {
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
