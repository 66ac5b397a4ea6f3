// Package disk is the directory of a storage: where repositories lie, how they come and go, and
// what is tidied up after a crash.
//
// It moves whole directories and single files and makes them durable. It knows neither Git's
// commands nor votes, and never looks into a repository further than to see that it is one.
//
// # Layout
//
//	<root>/<relative path>/     a bare repository
//	<root>/+node/lock           held as long as a process uses the storage
//	<root>/+node/id             the storage's identity
//	<root>/+node/tmp/           repositories that are not complete yet, or removed already
//
// # Invariants
//
//   - No path that a client names leads outside the root or into +node.
//   - A repository appears and disappears as a whole: both are a rename, on disk before the
//     operation is reported as done.
//   - One process uses a storage at a time.
//
// # After a crash
//
// [Open] empties tmp, and removes from every repository what a killed Git left: lock files and
// quarantined objects that are older than the start. Nothing can hold them: all processes of the
// storage have died with the node.
//
// # Concurrency
//
// A [Disk] may be used concurrently. Who creates or removes a repository locks its path first.
package disk
