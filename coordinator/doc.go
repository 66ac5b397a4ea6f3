// Package coordinator says what we do about agreement: where a read or write of a repository goes,
// in which order writes commit, what is recorded of them, and who may be believed afterwards.
//
// It decides and carries out its decisions on metadata only. It does not vote (package
// transaction), speaks to no node (package proxy does) and knows no SQL; the metadata are behind
// [Store]. Its sub-packages are the stores, and the workers that run beside the calls: health,
// repair, removal.
//
// # Words
//
//	repository        what clients push to, known by [Key], forever identified by [RepositoryID]
//	virtual storage   what clients see as one storage
//	storage           the storage of one node
//	relative path     the client's path; replica path: the one on disks, a function of the id
//	replica           a repository's copy on one storage
//	assigned          meant to be there: counts as a copy and is repaired
//	generation        number of recorded writes, of the repository and of each replica
//	current           at the repository's generation: holds every acknowledged write
//	outdated          behind it
//	joining           outdated still, but sent writes already, as its repair is about to end
//	primary           the replica that runs hooks and leads the vote; secondary: any other voter
//	epoch             number of primaries
//	incarnation       one life of a proxy, from when it took its lease until that was lost
//	lease             the right of an incarnation to commit, to record and to use cached routes
//	turn              the right to commit next on a repository, held by one incarnation
//	announcement      the durable note that nodes do something which they do not vote on
//	intent            the durable form of a held turn: a row that excludes all others
//	base              the generation from which a write starts, read after the turn was taken
//	record            the statement that writes an outcome and removes the intent
//	recovery          deciding, by what is on the nodes, about a turn that was not recorded
//	settling          a replica whose node may still act on a write that recovery has decided
//	invalidation      a numbered note that routes to a repository have changed
//	commit window     from the first commit on a node to the record
//	outcome           what became of a write: none, recorded, partial, unknown
//
// # A write
//
// [Coordinator.BeginWrite] routes by a cached snapshot: the primary, and every assigned replica
// that is healthy and current, or joining. Fewer current ones than the minimum of copies, for which
// replicas do not count that are being filled for the first time, is an error that names the
// missing. The call is then sent to all of them, at once for every client.
// Committing happens one write after the other: [Write.TakeTurn] waits in the line of this process,
// first come first served, then makes the intent durable, which excludes the other processes, and
// reads the metadata by a snapshot that is newer than the intent. Whoever is not current any more
// lapses; another primary ends the write, before anybody has committed. [Write.Committing] opens
// the commit window, in which this process reads the repository from its primary. [Write.Record]
// closes it with one statement: it compares intent, epoch and generation, raises the repository and
// the replicas that confirmed and stood at the base, makes the repair of the others due, replaces a
// primary that did not confirm, and removes the intent. [Write.Finish] ends the call; it returns
// when no process uses a route any more that the write has made wrong.
//
//	routed --TakeTurn--> turn held --Committing--> window open --Record--> routed --Finish--> over
//	   |                     |                          |
//	   |                     | ReleaseTurn              | no record: answer lost, lease lost,
//	   +------Finish-----> over                         | metadata moved on
//	                                                    +--> marked --> recovery (any process)
//
// A turn that is left over stays in the store, so nobody builds on a state that nobody knows, until
// recovery (package coordinator/recovery) has looked at the nodes. The same happens to the turns of
// a process that is gone: its lease has ended.
//
// # A repository
//
//	creating --Finish, success--> ready --BeginRemoval--> deleting --last replica gone--> (no row)
//	    +---- failure, or the incarnation ends --------------^
//
// The row of a creation holds the path from the start, so of two creators one is refused before any
// disk is touched. Only ready repositories are visible. A deleting one frees its path at once; its
// row stays until no disk has it and no node can bring it back, and the next repository of that
// name gets another id and so another path on disk.
//
// # Invariants
//
//  1. A current replica holds every acknowledged write. It becomes current only by a record that
//     raises it from the base, by a late confirmation of the last record (no repair begun, nothing
//     changed since), or by the end of a repair whose last copy was made under the turn.
//  2. A record leaves a primary that it raised, so some replica is always current.
//  3. Generation and epoch never go down; a primary changes only together with the epoch.
//  4. A replica that is assigned and outdated is due for repair, by the statement that left it
//     behind.
//  5. At most one write of all processes is between turn and record on a repository; no election,
//     no removal, no recovery and no last copy of a repair is in between.
//  6. Nobody is told to commit before the intent is durable, nor without a lease.
//  7. A route that was loaded before an invalidation is never used by a reader that comes after it.
//     In this process the invalidation comes before the record is reported, in the others before
//     the client is answered: each has acknowledged it, or its lease has run out. That holds for
//     the invalidations of earlier writes as well.
//
// # What fails, what the client sees, what repairs it
//
//	secondary fails a write        success; outdated by the record, repaired
//	primary fails after commits    its error; the write stands with another primary
//	primary unhealthy              the next write or primary-only read elects a current replica
//	primary unreachable from here  ErrPrimaryUnreachable after 3 s, if others can reach it
//	too few copies                 ErrTooFewCopies before anything is sent
//	turn does not come             ErrBusy, nothing changed
//	primary replaced before it     ErrPrimaryChanged, nothing changed
//	lease lost before it           ErrLeaseLost, nothing changed
//	store away before the turn     ErrMetadataUnavailable, nothing changed; Run removes the intent
//	process dies in a fetch        replicas are compared in doubt, by its announcement; likewise
//	                               in a push that deletes beside other changes
//	store away at the record       repeated; then ErrOutcomeUnknown, recovery decides
//	record refused, lease lost     ErrOutcomeUnknown, recovery decides
//	process dies in a write        a broken connection; recovery decides when its lease has ended
//	creation fails or dies         its error; removed from all disks
//	node away during removal       success; removed when it is back
//	store away, reads              cached routes while the lease holds; then the error
//	                               ErrMetadataUnavailable, or what was known last if so configured
//	store loses its latest         what this process recorded is recorded again, then compared
//
// # Concurrency
//
// A [Coordinator] and a [Write] are safe for concurrent use. [Coordinator.Run] is the only
// goroutine that this package needs, and it starts none. A cached read takes no statement and
// allocates nothing.
package coordinator
