// Package transaction says what agreement means: when the nodes of a cluster that carry out the
// same call may commit, and what is known afterwards of each of them.
//
// Git asks a hook before it changes references and tells it afterwards. On every node the hook
// turns that into votes, and a vote waits for its answer. This package takes the votes of all
// nodes and decides. It is a value with methods and nothing else: no clock, goroutine, lock, I/O
// or log. Events go in as method calls; what they ask for comes out of [Transaction.Ready], and
// the shell (package registry) does it. So every order of events can be played in a test.
//
// # What it does not do
//
// It does not know repositories, generations or epochs, and writes no record: it says what to
// record. It does not wait: it says who is awaited and when a short grace begins. It does not see
// the answers of the calls, since state follows votes, never error texts. A call in which nobody
// casts PREPARED tells it nothing about what has changed (see [Summary.Prepared]).
//
// # Words
//
// A vote is a hash and a phase. A round is one vote by each voter: a voter's n-th vote belongs to
// the n-th round; PREPARING is not counted, it is a gate in front of the next vote. A write is
// what lies between PREPARED and COMMITTED. The turn is the right to commit next on the
// repository. The record is what others will know of a write. A voter is open until its call ends
// (Ended), contact with it is lost (Lost), or it is left behind; a closed voter is no copy and
// nobody waits for it.
//
// # Rounds
//
//	             the primary votes
//	undecided -------------------------> decided: its vote is told COMMIT, others ABORT
//	 |  |  |      (not PREPARED)              ^
//	 |  |  |                                  | turn is held
//	 |  |  +--- update hook, unknown ------> gate
//	 |  |
//	 |  +- the primary votes PREPARED -> count --- enough equal votes, turn held ---> won
//	 |                                     +--- can not become enough, turn refused --> lost
//	 |
//	 +---- the primary closes, STOP, client gone -----------------------------> lost or stopped
//
// The primary waits for nobody except in PREPARED, where MinimumCopies voters, itself among them,
// have to vote alike. A vote that arrives in a decided round is compared and answered at once.
// Only one round at a time is undecided, since nobody passes a round without an answer.
//
// # Writes
//
//	        PREPARED won                         enough have confirmed, others
//	(none) --------------> open                  confirmed, closed or out of grace
//	  ^                     |  \-----------------------------------------> recording: kept
//	  |                     |
//	  |                     |  the primary went on, or ended, without COMMITTED: abandoned
//	  |<--------------------+  and all that were told COMMIT did likewise
//	  | nothing changed     |
//	  |                     +-- some did not, or nobody was heard of --> recording: dropped
//	  |                                                                  or doubtful
//	  |                                                                     |
//	  +--------------------- Recorded: voters are released -----------------+
//	                         RecordFailed: everybody is told ABORT for good
//
// Further PREPARED votes while a write is open belong to it. At most one write is in progress.
//
// # A voter in one write
//
//	              told COMMIT          COMMITTED, as the primary
//	untouched -----------------> told -----------------------------> confirmed
//	    |                         |  \---- ended or another phase --> abandoned (dissented, if
//	    |                         |                                   the primary confirmed)
//	    | votes otherwise         +---- lost -----------------------> uncertain
//	    +-------------------------+---- votes otherwise ------------> dissented
//
//	after a record:  raised   -> current, goes on
//	                 told     -> may confirm late: taken back in, or behind
//	                 the rest -> behind, every vote is told ABORT
//
// # Invariants
//
//  1. In a round at most one value is told COMMIT.
//  2. COMMIT for PREPARED needs the primary's equal vote, MinimumCopies equal votes of voters that
//     can still confirm the write, and the turn.
//  3. Nobody is released from COMMITTED before the record of the write.
//  4. A voter that was told COMMIT for PREPARED is raised by a record, or passed over by one, or
//     has abandoned the write like everybody who was told, and then digests are compared.
//  5. Once a write is being recorded, PREPARED of it is told ABORT: a late COMMIT could undo a
//     newer write.
//  6. Every ticket is answered exactly once; when all voters have ended, none is left.
//  7. A record raises somebody, the new primary among them: of a kept write only voters that cast
//     the same COMMITTED, of a dropped one only voters that do not have it.
//  8. Work and memory per vote do not depend on the number of rounds before.
//
// # Failures
//
//	what fails                   what happens                         what repairs it
//	a secondary is lost          it blocks nobody; if told: uncertain outdated by the record
//	it votes otherwise           ABORT; dissented                     outdated by the record
//	the primary is alone         the round is lost, nothing changed   digests are compared
//	the primary is lost before   its round is lost                    nothing to repair
//	  PREPARED was won
//	... after                    the copies decide, one succeeds it   outdated by the record
//	all are lost                 doubtful: the primary alone stays    the others are repaired
//	git aborts silently          dropped                              digests are compared
//	the primary is slow          replaced after the grace             it confirms late
//	too few copies confirm       recorded, and the call fails         repair makes copies
//	the turn is refused          ABORT, Busy                          the client tries again
//	a hook refuses               STOP after what is decided           nothing to repair
//	the client is gone           undecided rounds are lost            a write gets its record
//	the record fails             ABORT for everybody, turn kept       the repository's recovery
//
// # Where the rules leave a choice
//
// The all-zero vote at the end of a push is COMMITTED by phase, but never confirms a write: a git
// that aborted silently casts it as well. With a write open it counts as abandonment.
//
// A secondary does not ask for the turn by itself; its PREPARING waits until the primary comes to
// the gate or casts PREPARED. Otherwise a turn taken for a fast secondary would block the
// repository until a slow primary has caught up.
//
// PREPARED asks for the turn only when its votes suffice (or when somebody waits at the gate): a
// fetch may be minutes slower on one node, and the turn need not be held meanwhile.
//
// After a refusal the turn is not asked for again in this transaction: a push of a thousand
// branches would otherwise wait a thousand times.
//
// When the primary has abandoned a write, stragglers of its PREPARED are told ABORT, although the
// round was won: each would only be one more replica to repair.
//
// When the primary is uncertain and nobody confirmed, voters that surely do not have the write
// are raised and one of them succeeds the primary; that loses no acknowledged write and keeps the
// repository available. A dissenter is no witness of the state before. Without any witness the
// primary alone is raised.
//
// A voter that was told ABORT in an open write, or abandoned it, is no copy of it any more, even
// if it votes like the others afterwards.
//
// A primary that a record has replaced still leads the rounds if it is taken back in, so that the
// hooks of a push end in order, but it opens no further write.
//
// The primary is not awaited while others only wait for it around a hook, nor before its first
// vote: hooks run for as long as they run, and the client's deadline limits them.
//
// # Concurrency
//
// A Transaction is not safe for concurrent use.
package transaction
