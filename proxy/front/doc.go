// Package front is the side of the proxy that clients see: the gRPC server with its limits, what
// happens around every call, and how it stops.
//
// It does not know where a call goes. The handler of relayed calls, the services that are answered
// here, and the table that turns errors into codes are given to it.
//
// # Around every call
//
// From the outside in: metrics, one log line, panics, codes, authentication, the handler. So a call
// that is refused or that panics is counted and logged like any other. A correlation id is made when
// the client sends none, and is in the context, in the log line, and in the incoming metadata, from
// where it reaches the nodes.
//
// # States
//
//	New -> Serve on any number of listeners -> Stop (drains) -> stopped
//	                                            `-> context ends: calls are cut off
//
// # Failures
//
//	a client connects and stays silent    closed after 5 s, and at once when stopping
//	a message is larger than 4 MiB        ResourceExhausted; the connection lives on
//	a handler panics                      Internal, counted, logged with its stack
//	a client pings more than each 10 s    its connection is closed
//
// Everything here is safe for concurrent use.
package front
