// Package cluster runs a whole cluster as real processes on this machine: a private PostgreSQL,
// one praefect-node per storage, one praefect in front of them, and a Git-over-HTTP gateway.
//
// It knows nothing about testing: test/e2e, test/bench and the demo build on it alike. It starts
// programs, waits until they serve, freezes and kills them, and tells what they wrote. It makes no
// judgement about what they did.
//
// # States of a process
//
//	Spawn --> running <---- Pause, Resume ----> paused
//	             |                                |
//	             | Kill, Terminate, its own end   | Kill
//	             v                                v
//	           ended: Done is closed, ExitCode is known
//
// A Node and the Proxy keep their address, directory and arguments over any number of processes;
// Start after an end begins a new process.
//
// # Invariants
//
//   - Every program is the leader of its own process group, and Kill ends the group, so that Git
//     and hooks die together with the node that started them.
//   - The kernel kills a program when the harness dies (PDEATHSIG), so nothing is left behind.
//   - Ports are chosen below the range from which the kernel takes the source ports of outgoing
//     connections, so that the port of a dead node stays free until it is started again.
//   - Close ends everything that Start began, and removes the directory when the harness made it.
//
// # Failures
//
// A program that ends before it serves makes Start fail with ErrEnded and the tail of its log. All
// waiting is bounded by the caller's context.
//
// # Concurrency
//
// All methods may be called from several goroutines, except that Start, Kill and Close of the same
// Node or Proxy must not overlap.
package cluster
