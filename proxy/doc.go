// Package proxy carries calls: from clients in, to nodes out, and the answers back.
//
// Start with handler.go, which is one call from its arrival to its answer. What a method does is
// in package method, who takes part in a write and what is recorded of it is decided by package
// coordinator, votes are counted by package registry, and messages are moved by package relay.
// This package puts them together and decides nothing about consistency.
//
// # One call
//
//	[Server]    the listeners, and around every call: log line, metrics, panics, codes, tokens
//	[Handler]   the first message is received and looked at; the method says what follows
//	read        one replica, and another one if that fails before the first byte of its answer
//	write       route, fan out, votes, outcome, answer; slow nodes are drained afterwards
//	maintain    all replicas
//
// The methods that the proxy answers itself are in package native.
//
// # What the client is told
//
// A status that a node sent passes unchanged, with its details. Everything else is an error of
// Go, and one table in status.go says which code each sentinel becomes. Every call of a mutator
// has the trailer praefect-outcome, which says what became of the write:
//
//	none      surely nothing was changed
//	recorded  the write stands, whatever the status says
//	partial   of several writes some stand and the others were not made
//	unknown   the write may be there or not
//
// Codes after which clients try again by themselves are used only with none.
//
// # Failures
//
//	a node fails a read before the first byte    another replica is asked
//	a node fails a read later                    the client gets the status
//	a secondary fails a write                    it is left behind, and repaired
//	the primary fails a write                    the votes say what became of it
//	the client goes away in a write              votes are aborted, nodes end by themselves
//
// # Concurrency
//
// Everything exported may be used concurrently. The goroutines of a call are those of package
// relay; the package itself starts none but those that serve listeners.
package proxy
