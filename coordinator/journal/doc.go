// Package journal brings what became of writes, and why replicas fell behind, into the store, where
// operators find it also when the proxy that knew it is gone.
//
// A [Journal] is told of entries and never makes anybody wait: they are queued, bounded, and
// written in batches once a second; notable ones at once. Nothing depends on them. What does not
// fit into the queue, because the store does not answer for long, is dropped and counted, the
// oldest first, ordinary and notable entries each for themselves. A process that is killed loses
// what it has not written: up to a second of ordinary entries, and of notable ones those of the
// moment.
//
// The store keeps so many entries of both kinds as [Config] says, the newest; each process prunes
// after it has written a part of that.
//
// An entry may be there twice, when the answer of the store was lost.
package journal
