// Package link stands between parties that talk over TCP, so that the connections between any two
// of them can be refused, or stop moving bytes for a while.
//
// A [Door] is an address with somebody behind it. Everybody who comes through the door is told
// apart by a name: a door that two parties share, because one configuration tells both where the
// third one is, has a link for each of them. A [Balancer] is a door with several parties behind it.
//
// # States of a link
//
//	open     bytes are carried
//	stalled  connections can be made, and no byte moves in either direction
//	refused  connections that exist are reset; new ones are refused by the kernel, or reset at
//	         once where others use the same door
//
// # Invariants
//
//   - A byte is carried once; after a stall everything goes on where it was.
//   - Close ends all goroutines and connections.
//
// # Concurrency
//
// All methods may be called concurrently.
package link
