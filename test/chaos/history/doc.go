// Package history records what clients saw and judges it.
//
// A history is a list of operations on registers. A register is whatever has one value at a time
// and is changed as a whole: a reference, HEAD, the custom hooks of a repository, or whether the
// repository exists. The value of an absent reference is empty. Values are never written twice to
// the same register, except for the empty one and for existence, so that a read tells which write
// it saw.
//
// # Results of a write
//
//	acknowledged   the client was told that it happened
//	refused        the client was told that it surely did not happen
//	unknown        anything else: it may take effect at any later time, or never
//
// # Findings
//
//	stale    a read that began after a write was acknowledged saw neither it nor a later one, or
//	         the reads of primaries do not fit any order of the writes
//	lost     the same for what was there in the end
//	torn     several references that are only ever changed together came from different changes,
//	         although all of these were over
//	undone   a write that was not acknowledged was seen on a primary, and then was gone: the one
//	         thing that may happen, when a primary is replaced
//
// A later write is one that began when the first was over: when that was acknowledged, or when
// somebody had seen its value, which may be earlier, and is all that is known of an unknown one.
//
// Reads of primaries (and writes) are checked for linearizability, register by register. Other
// reads may run ahead, see a write before it is acknowledged and then not see it elsewhere; of them
// only the first rule of stale is demanded.
//
// # What is not checked
//
// Values that a read could not get because it failed. An unknown write whose value nobody ever saw
// is left out: it explains nothing, and whatever fits with it fits without it.
//
// A [Recorder] may be used concurrently. Everything else is a pure function.
package history
