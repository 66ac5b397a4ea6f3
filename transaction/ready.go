package transaction

// Ready is what the shell has to do after an event. It is taken once; the next call of
// [Transaction.Ready] returns only what is new. The slices are valid until the next method call.
//
// The shell carries out the fields in the order in which they are declared: Committing before the
// answers, since answering COMMIT is what makes a write visible on a node.
type Ready struct {
	// Committing says that COMMIT of a PREPARED round is among the answers and that it opens a
	// new write: from now until its record only the primary may be read.
	Committing bool
	// Answers are to be delivered to the voters that wait for them.
	Answers []Answer
	// TakeTurn asks for the repository's turn; answered by TurnTaken or TurnRefused. It is set
	// again with LocksHeld while the turn is still being waited for, to shorten the wait.
	TakeTurn *TurnRequest
	// YieldTurn offers the held turn to others that wait for it. If nobody does, the shell calls
	// TurnTaken at once, otherwise it gives the turn back and takes it again at the end of the
	// line.
	YieldTurn bool
	// ReleaseTurn says that the turn is not needed any more: give it back, or stop waiting for it
	// without reporting a result. It is the last word about the turn.
	ReleaseTurn bool
	// Grace asks for a call of GraceEnded after a short while.
	Grace *Grace
	// Record asks for the outcome of a write to be written; answered by Recorded or RecordFailed.
	Record *Record
	// Late are voters that confirmed a write after its record; each is answered by LateResolved.
	Late []Late
	// Awaited are the voters that others wait for, now. It is a state, not an event: who is not
	// listed any more is not awaited any more. The shell ejects a voter that is awaited at the
	// same step for too long.
	Awaited []Awaited
}

// Answer is the decision on one vote.
type Answer struct {
	Ticket   Ticket
	Voter    Voter
	Phase    Phase
	Decision Decision
}

// TurnRequest says how long the turn may be waited for.
type TurnRequest struct {
	// LocksHeld says that a node holds locks on disk meanwhile, so that the wait has to be short.
	LocksHeld bool
}

// Grace is a short wait for voters that are not finished while there are enough others.
type Grace struct {
	// Write is the write whose record waits, or 0 when the end of the turn waits.
	Write uint64
	// Primary says that the primary is among the voters, so that ending the wait replaces it.
	Primary bool
	// Voters are waited for.
	Voters []Voter
}

// Outcome says what a record makes of a write.
type Outcome uint8

// The outcomes of a write that needs a record.
const (
	// Kept means that the raised voters have the write.
	Kept Outcome = iota + 1
	// Dropped means that the raised voters do not have the write and that others may.
	Dropped
	// Doubtful means that nobody knows who has the write: the primary alone is raised, whatever
	// it holds.
	Doubtful
)

// String returns the outcome in lower case.
func (o Outcome) String() string {
	switch o {
	case Kept:
		return "kept"
	case Dropped:
		return "dropped"
	case Doubtful:
		return "doubtful"
	}
	return "none"
}

// Record is what has to be written about a write before anybody is released from it.
type Record struct {
	// Write numbers the writes of a transaction from 1.
	Write uint64
	// Outcome says whether the raised voters have the write.
	Outcome Outcome
	// Raise are the voters that stay current, at the next generation. Everybody else is outdated.
	// The shell may keep the slice.
	Raise []Voter
	// Primary is the primary from now on: the one so far if it is raised, else its successor.
	Primary Voter
	// BelowMinimum says that fewer than MinimumCopies voters have a kept write: it must be
	// recorded, and must not be acknowledged.
	BelowMinimum bool
	// Verify says that the replicas' digests are to be compared.
	Verify bool
}

// Late is a voter that was told COMMIT, was not finished when its write was recorded without it,
// and has confirmed since.
type Late struct {
	Write uint64
	Voter Voter
}

// Awaited is a voter that others wait for.
type Awaited struct {
	Voter Voter
	// Step grows with each vote of the voter, so that a voter that is slow but moves is told from
	// one that hangs.
	Step uint64
}

// Ready returns what the events since the last call ask for. It does work only in proportion to
// the number of voters.
func (t *Transaction) Ready() Ready {
	r := t.ready
	r.Awaited = t.awaited()
	t.ready = Ready{Answers: r.Answers[:0]}
	return r
}

// answer decides the vote that v waits with.
func (t *Transaction) answer(v *voter, d Decision) {
	t.ready.Answers = append(t.ready.Answers, Answer{
		Ticket: v.wait.ticket, Voter: v.name, Phase: v.wait.phase, Decision: d,
	})
	v.wait = wait{}
}
