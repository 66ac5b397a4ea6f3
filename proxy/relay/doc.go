// Package relay moves the messages of one call between a client and nodes, without decoding or
// copying them.
//
// It decides nothing about consistency: who takes part, what the votes mean and what the client
// is told is decided elsewhere. It knows no method and no field of a message.
//
// # One node
//
// [Relay.Read] carries a call to one node. It is bound to the client's context: when the client
// goes away, the node's call is cancelled. A failure before the first byte of the answer is a
// [RepeatableError], after which the call may be carried to another node.
//
// # Several nodes
//
// [Relay.Open] starts the same call on a primary and any number of others and returns a [Fan]:
//
//	Open -> Carry or CarryAll -> [Settle] -> Deliver or Withhold -> Leave
//
// Only the primary's messages, headers, trailers and status reach the client. What the others
// answer is read and dropped.
//
//	what fails                            what the relay does
//	another cannot be opened, or fails    what is sent to it is dropped; the call goes on
//	another reads much too slowly          it is ejected: as before, and it counts as lost
//	the primary fails                     Carry returns its status
//	the client goes away                  votes are aborted, inputs closed, nodes waited for
//	the votes break                       nothing more reaches the client, Carry returns
//
// # Calls are not cancelled while locks may be held
//
// A node that is cancelled between locking its references and changing them leaves the lock
// files behind. So the calls to nodes are detached from the client's cancellation and deadline.
// To end one, its votes are aborted, its input is closed so that git sees the end of it, and its
// output is read until the node has ended it. Only when that takes too long is it cancelled, and
// if the node may hold locks only after the node's own limit for a vote has passed.
//
// # Memory
//
// A message is received into reference-counted buffers. Each destination holds a reference of
// its own for as long as it needs it. What waits for one destination is bounded in bytes
// ([Config.DestinationBytes] and one message), and so is what waits in all calls together.
//
// # Goroutines
//
// A call to one node costs none when only the node streams, one when the client streams. A
// fan-out costs one for each destination, one more for each destination but the primary and one
// for the client when the client streams. Each is counted by the [Relay], whose Close waits for
// them. A goroutine that receives from the client ends when the handler of the call returns.
package relay
