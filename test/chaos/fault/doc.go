// Package fault breaks a running cluster, reproducibly: what it breaks, for how long and in which
// order follows from a seed.
//
// # Kinds
//
//	kill      the process group of a proxy or a node is killed (SIGKILL) and started again
//	freeze    the process group of a proxy or a node is stopped (SIGSTOP) for 1 to 15 s
//	refuse    connections between two parties are reset, new ones refused
//	stall     connections between two parties stop moving bytes, in both directions
//	database  PostgreSQL is restarted, in its fast or its immediate mode
//	disk      the disk of a node is full
//
// Parties are the balancer, proxies, nodes, and the database; nodes talk to each other when one
// copies from another.
//
// # Lanes
//
// Two lanes run side by side. One breaks proxies, what they have with balancer and database, and
// the database; the other nodes and what is between them and proxies or other nodes. Each lane
// breaks one thing at a time and mends it before the next, so that at most one proxy and one node
// are broken at once, a minority of three. Within a lane, all kinds come up before one comes again.
// Before the next node is broken, the lane waits (bounded) until no replica is behind. What is not
// wanted any more is left out.
//
// # Duets
//
// Some mistakes show only when a proxy and a node are broken at the same time in a certain way, so
// now and then both lanes do one of these together:
//
//   - A node that is the primary of few repositories is frozen, and a moment later, when writes
//     wait for it, a proxy is killed.
//   - A proxy is frozen for longer than its lease; meanwhile the disk of a node is full, so that
//     its replicas fall behind, and they are still behind when the proxy goes on.
//   - A proxy hears nothing from the database, until it has lost its lease and longer; meanwhile
//     the disk of a node is full.
//
// # Programs
//
// [Everything] is all of the above. The other programs do but one thing, again and again, so that
// a certain mistake shows within seconds.
//
// # A full disk
//
// Where file systems can be mounted, every disk is a small tmpfs, and a file fills it. Elsewhere
// the node may write nothing into files any more: the kernel's limit on the size of files
// (RLIMIT_FSIZE) is set to zero for its process, which Git inherits. The node is started with the
// signal for that blocked, so that writing fails instead of killing. What had begun before goes on.
//
// # Failures
//
// A party that does not come back makes the lane end with an error. Whatever happens, Run mends
// what it broke before it returns.
package fault
