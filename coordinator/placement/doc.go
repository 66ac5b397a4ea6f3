// Package placement puts replicas where they are meant to be.
//
// Two things are done, by every proxy, all the time:
//
// Repositories without a replication factor of their own are meant to be on all storages of their
// virtual storage, also on those that are configured later. The [Worker] enrols them: it adds rows
// without content, which repair then fills. One storage at a time, and only while enough copies are
// current: an assigned replica counts for the minimum of copies at once, and three new nodes beside
// three old ones must not make every repository unwritable until the last byte is copied. It looks
// at all repositories when it starts, since that is when a new configuration is read, and now and
// then after.
//
// A replica that is not assigned any more, because the factor was lowered, is removed once it is
// not needed. The order is what makes it safe:
//
//  1. Under the turn of the repository, so that no write is between commit and record, one
//     statement compares that all assigned replicas on configured storages are current, the
//     primary's among them, that this one is not the primary, and that no repair or late commit may
//     be writing to it. Then the row says that nothing is there, and cached routes are invalidated.
//  2. It stays on the disk for a grace: by then every proxy has applied the invalidation or lost
//     its lease, and most reads that had begun are over.
//  3. A worker claims the row and removes the replica from the disk. While the claim lasts no
//     repair begins there, should the storage be assigned again; it lasts until a node that did not
//     answer can surely not act any more.
//  4. The row is forgotten, or, if it was assigned again, free to be repaired.
//
// Invariants: a replica is removed only if, at a moment after which nobody could make it current
// again, all assigned replicas were current. Whatever dies between two steps, the row tells the
// next worker where to go on.
//
// Removal needs all nodes of the virtual storage to be healthy: a copy too many costs nothing while
// others cannot be asked.
package placement
