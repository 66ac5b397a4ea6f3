// Package sidechannel moves the bulk bytes of a call past gRPC.
//
// A fetch is a plain unary call; what git upload-pack reads and writes travels
// on a stream of its own, which the server opens towards the caller on the
// connection that the call came in on. The package has the three parts in it:
// the caller's ([Registry.Register]), the server's ([Open]), and that of a
// proxy between them ([Registry.Relay]). It does not know git.
//
// # Bytes
//
// The caller registers a waiter and sends its id, a decimal number that counts
// from 0 in each process, as metadata "gitaly-sidechannel-id". Of several
// values the last counts, and what is no number counts as 0. Then, on a stream
// that the server opens:
//
//	server -> caller   "sidechannel"                11 bytes
//	server -> caller   id                           8 bytes, signed, network order
//	caller -> server   "ok"                         2 bytes
//	caller -> server   frames: 4 hexadecimal digits, the length with the digits,
//	                   then at most 65516 bytes; "0000" is the half-close
//	server -> caller   raw bytes; closing the stream ends them
//
// Lengths 1 to 3 and above 65520 are errors, and so is an end without "0000".
// The frames exist because a stream cannot be closed in one direction.
//
// The server closes the stream before it answers the call, so the caller sees
// the end of the bytes first. A server that refuses the call opens nothing.
//
// # Relay
//
//	waiting -> confirmed to the node -> opened towards the client -> copying -> ended
//	    |                                                                 |
//	    +-> not opened                    call ends, copy fails, Close ---+
//
// The node's bytes are passed on raw. The client's frames are passed on as
// they are too, without being taken apart and built again: that is the same on
// the wire, and costs no copy. Their headers are looked at all the same, for
// two reasons: a client that ends without its half-close must fail the relay,
// as it would fail a server, and behind the half-close nothing more needs to
// be read. What is no frame is not passed on.
//
// The relay ends when the node closes its stream; then it closes the client's.
// The client's half-close alone ends nothing. An id is good for one opening,
// so each try of a call needs a relay of its own.
//
// # Failures
//
//	nobody waits for the id       the stream is closed; the server's [Open] fails,
//	                              and [Retryable] holds
//	handshake takes 5 s           the same, on both sides
//	caller is not multiplexed     [Open] and the relay fail: backchannel.ErrNotMultiplexed
//	bytes are no frames           [ErrInvalidFrame]
//	relay fails                   both streams end, the call to the node is abandoned,
//	                              [Relay.Wait] says why
//	connection ends               readers see io.EOF as if all had been sent: the
//	                              status of the call tells that it had not
//
// A stream that this end closes is not reset, so the other end may wait for
// its bytes to be taken until its call ends. Whoever gives up a sidechannel
// therefore cancels the call as well.
//
// # Memory and concurrency
//
// A relay holds 64 KiB, and up to the window of the connection in either
// direction when a reader stands still. It runs in the goroutine that the
// connection has for the node's stream and in one more, which it waits for.
// Everything exported is safe for concurrent use, the two ends of a
// sidechannel for one reader and one writer.
package sidechannel
