// Package registry holds the transactions of this process that are under way and serves the votes
// of nodes. It is the shell around package transaction: that package decides, this one waits.
//
//	node --VoteTransaction--> service --cast--> Live (mutex)
//	                                             |  event
//	                                             v
//	                                    transaction.Transaction
//	                                             |  Ready
//	            +----------------+---------------+--------------+----------------+
//	            v                v               v              v                v
//	       answers to      Writer.TakeTurn  Writer.Record  Writer.Confirm    timers: grace,
//	       waiting votes   (own goroutine)  (own goroutine) (own goroutine)  vote timeout
//	            |                |               |              |                |
//	            v                +---------------+------+-------+----------------+
//	       node goes on                                 | event
//	                                                    v
//	                                                 Live (mutex)
//
// # Life of a transaction
//
//	Begin -> Header is sent to each node -> votes -> Ended or Lost for each voter -> Finish
//	                                          |
//	                                          +-> Settled: the client may be answered
//	                                          +-> Broken: the call must fail, Err says why
//	                                          +-> Overdue: the relay ends the call of a voter
//
// The caller reports every end of a call with Ended, or with Lost when the node was not heard to
// the end, and calls Finish in every case. It answers its client only when Settled or Broken is
// closed. Ids are random: one that a node remembers from an earlier process names nothing.
//
// # What it does not do
//
// It does not relay calls, cancel them or know the coordinator; [Writer] is all it needs of it.
// It does not repeat records: an error of the Writer means that the outcome is unknown.
//
// # Invariants
//
//  1. A vote call ends with the decision, or with the end of its own context; then its voter is
//     lost, because nobody can tell what the node does next. The same vote cast again meanwhile
//     shares the decision.
//  2. Committing is called before the first COMMIT of a write is answered.
//  3. Err is set and Broken closed before anybody is released from the write in question.
//  4. The turn is taken, or waited for, at most once at a time; one that is taken after nobody
//     wants it any more is given back.
//  5. Records, turns and confirmations do not end with the vote that caused them. They are bounded
//     by Config, owned by the Live, and waited for by Finish.
//  6. A vote that claims another node than the connection it comes from is rejected and counted.
//
// # Failures
//
//	what fails                  what the node sees             what the caller sees
//	vote call cancelled         Canceled, DeadlineExceeded     the voter is lost
//	hash of wrong length        InvalidArgument                nothing
//	transaction ended           NotFound                       nothing
//	other node's name           Internal                       nothing
//	turn not to be had          ABORT                          Refused, Summary.Busy
//	record fails                ABORT, now and later           Broken: ErrOutcomeUnknown
//	nobody heard of again       ABORT                          Broken: ErrOutcomeUnknown
//	too few copies recorded     COMMIT                         Broken: ErrTooFewCopies
//	late confirmation fails     ABORT                          a warning in the log
//	voter hangs                 ABORT                          Overdue
//
// # Times
//
// A voter is ejected when others wait for the same vote of it longer than VoteTimeout, or for its
// confirmation of a write that another one has confirmed; each vote begins the time anew, so that a
// node that is slow but moves is left in peace. The grace for
// stragglers is twice what they usually need, a mean that is kept for each node; a primary that
// has not confirmed gets the greatest, since going on without it replaces it.
//
// # Concurrency
//
// Everything exported is safe for concurrent use. Each Live has one mutex, which is never held
// while waiting; the methods of a Writer that are called with it held say so.
package registry
