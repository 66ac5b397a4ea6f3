// Package tracing makes traces of calls, as OpenTelemetry has them: one span for each call of a
// client, below it one for each node that is called for it, one for each vote, and one for each
// wait that a write consists of.
//
//	gitaly.OperationService/UserCreateBranch          the call, child of what its client sent
//	  route                                           finding out where it goes
//	  gitaly.OperationService/UserCreateBranch        the call to a node, as often as there are
//	    vote prepared                                 from the vote to the decision about it
//	    vote committed
//	  turn                                            waiting for the right to commit
//	  record                                          writing the outcome into the database
//	  finish                                          waiting for other proxies to know of it
//
// A client's traceparent and tracestate (W3C Trace Context) say which trace a call belongs to, and
// whether it is to be kept; nodes get those of the span of their call.
//
// # What it does not do
//
// It changes nothing about calls, follows nothing that no client has asked for, and keeps no span:
// what cannot be exported is counted and given up.
//
// # Costs
//
// Without a [Tracer] nothing is done: a nil one, and the nil [Call] that it returns, can be called
// and neither allocate nor ask for the time. With one, ended spans wait in a bounded queue, and a
// call has at most so many spans of steps; what is more is dropped and counted. Exporting happens
// in the background, so that no call waits for it.
//
// # Concurrency
//
// Everything exported is safe for concurrent use.
package tracing
