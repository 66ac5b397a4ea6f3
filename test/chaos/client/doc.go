// Package client does to a cluster what users do, all at once, and records what it is told.
//
// A [World] has a few repositories that live as long as it does, and many that come and go. In each
// of the former there are references that are written singly, a group of references that is only
// ever changed as a whole, HEAD, and custom hooks. Workers choose from all ways of changing and
// reading them: pushes over the SSH and the HTTP calls, single and of several references, atomic or
// not; UpdateReferences, WriteRef and DeleteRefs, with and without an old value; SetCustomHooks;
// CreateRepository and RemoveRepository; ordinary reads and reads of primaries. Every call goes
// through a connection of the balancer, so through any proxy.
//
// With Clash workers write but one reference and HEAD, so that writes meet all the time.
//
// No value is written twice to the same place: WriteRef and UpdateReferences take the next of a
// long chain of commits that was pushed before, a push brings a commit of its own.
//
// # Results
//
// A write that ends well is acknowledged. One that fails with the trailer praefect-outcome: none is
// refused, everything else is unknown. A push that ends well tells for each reference whether it
// was taken; the others are refused.
//
// # Failures
//
// Workers go on after any failure, with a new connection. Only [World.Prepare] gives up.
//
// # Concurrency
//
// A World may be used concurrently; Run has a goroutine for each worker and waits for them.
package client
