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
//	turn              the right to commit next on a repository
//	base              the generation from which a write starts, read after the turn was taken
//	record            the statement that writes an outcome
//	commit window     from the first commit on a node to the record
//	outcome           what became of a write: none, recorded, partial, unknown
//
// # A write
//
// [Coordinator.BeginWrite] routes by a cached snapshot: the primary, and every assigned replica
// that is healthy and current, or joining. Fewer current ones than the minimum of copies is an
// error that names the missing. The call is then sent to all of them, at once for every client.
// Committing happens one write after the other: [Write.TakeTurn] waits in line, first come first
// served, and then reads the metadata afresh. Whoever is not current any more lapses; another
// primary or epoch ends the write, before anybody has committed. [Write.Committing] opens the
// commit window, in which this process reads the repository from its primary. [Write.Record] closes
// it with one statement: it compares epoch and generation with those that were read, raises the
// repository and the replicas that confirmed and stood at the base, makes the repair of the others
// due, replaces a primary that did not confirm, and gives the turn back. [Write.Finish] ends the
// call.
//
//	routed --TakeTurn--> turn held --Committing--> window open --Record--> routed --Finish--> over
//	   |                     |                          |
//	   |                     | ReleaseTurn              | store does not answer in time
//	   +------Finish-----> over                     unsettled --store answers--> over
//
// An unsettled write keeps its turn and its window, so nothing builds on a state that nobody knows,
// until [Coordinator.Run] has had an answer of the store.
//
// # A repository
//
//	creating --Finish, success--> ready --BeginRemoval--> deleting --last replica gone--> (no row)
//	    +---- failure, or the process dies: expiry ----------^
//
// The row of a creation holds the path from the start, so of two creators one is refused before any
// disk is touched. Only ready repositories are visible. A deleting one frees its path at once; its
// row stays until no disk has it, and the next repository of that name gets another id and so
// another path on disk.
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
//  5. At most one write of a process is between turn and record on a repository; no election and no
//     last copy of a repair is in between.
//  6. A route that was loaded before an invalidation is never used by a reader that comes after it,
//     and the invalidation comes before the client is answered.
//
// # What fails, what the client sees, what repairs it
//
//	secondary fails a write        success; outdated by the record, repaired
//	primary fails after commits    its error; the write stands with another primary
//	primary unhealthy              the next write or primary-only read elects a current replica
//	too few copies                 ErrTooFewCopies before anything is sent
//	turn does not come             ErrBusy, nothing changed
//	metadata moved on before it    ErrPrimaryChanged, nothing changed
//	store away before the turn     ErrMetadataUnavailable, nothing changed
//	store away at the record       repeated; then ErrOutcomeUnknown, settled later by Run
//	record refused                 ErrOutcomeUnknown; a comparison of the replicas is scheduled
//	creation fails or dies         its error; removed from all disks
//	node away during removal       success; removed when it is back
//	store away, reads              cached routes for a short while, then ErrMetadataUnavailable
//
// Changes made by other processes on the same metadata are seen after [Config].RouteAge at the
// latest, and by every write when it takes its turn. Turns order the writes of one process; what
// two processes commit at once is told apart by the compare-and-set of their records, which refuses
// the later one.
//
// # Concurrency
//
// A [Coordinator] and a [Write] are safe for concurrent use. [Coordinator.Run] is the only
// goroutine that this package needs, and it starts none. A cached read takes no statement and
// allocates nothing.
package coordinator
