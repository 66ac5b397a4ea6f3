// Package removal takes deleted repositories off the disks.
//
// A repository that clients deleted, or whose creation failed or died, is a row in state deleting:
// invisible, its path free, its replicas still on disks. The [Worker] claims such rows, removes
// each replica from its node, absent ones counting as removed, and forgets it; with the last one
// the row goes. Whatever fails is tried again after a while, for as long as it takes, so nothing
// is left on a disk without a row that says so. A replica that a repair may still be writing to
// waits for the end of the repair's claim, and one on a storage that is not configured or not
// healthy waits for that storage.
//
// While a node may still be acting on what it was told before, as after a creation whose proxy
// died or a repair that did not end well, the row is kept: the disks are cleaned at once, and again
// when that time is over. The end of a repair's call is no proof: a node that was frozen finds its
// cancellation, the removal and the rest of the copy at once.
//
// Several processes may run a worker; claims keep them apart, and removing twice does no harm.
package removal
