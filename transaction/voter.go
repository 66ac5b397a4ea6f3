package transaction

// voter is what is known of one participant.
type voter struct {
	name    Voter
	learner bool

	// running is true until the voter's RPC has ended or contact with it was lost.
	running bool
	// behind is true once a record passed over the voter, or the turn found it outdated. Every
	// later vote of it is told ABORT.
	behind bool
	// current is true while the voter stands at the generation that the next record starts from.
	current bool

	// voted is true from the first vote of any kind on.
	voted bool
	// next is the round that its next vote belongs to.
	next uint64
	// steps counts its votes, PREPARING included.
	steps uint64
	// wait is the vote that is not answered yet.
	wait wait
	// mark is what it did in the write of Transaction.write.
	mark mark
	// owes is the recorded write that it was told COMMIT for and has not confirmed yet.
	owes debt
	// late is the recorded write that it confirmed afterwards, until the shell has answered.
	late uint64
	// evidence is the verdict on the last write that was concluded.
	evidence Evidence
}

// open says that the voter's votes still matter: it can be a copy and others may wait for it.
func (v *voter) open() bool { return v.running && !v.behind }

// counts says that the voter can be one of the copies that a write needs.
func (v *voter) counts() bool { return !v.learner && v.current }

// waitKind says what a vote that was not answered yet waits for.
type waitKind uint8

const (
	// waitNone means that the voter has no vote that waits.
	waitNone waitKind = iota
	// waitGate is PREPARING in front of round wait.round.
	waitGate
	// waitRound is a vote in the round that is not decided yet.
	waitRound
	// waitWrite is a vote that is released by the record of the write in progress.
	waitWrite
	// waitLate is a confirmation that came after the record.
	waitLate
)

// wait is a vote that was not answered yet.
type wait struct {
	kind   waitKind
	ticket Ticket
	phase  Phase
	vote   Vote
	round  uint64
}

// mark is what a voter did in one write. Its zero value means untouched.
type mark struct {
	// told is true once COMMIT was told for a PREPARED vote of the write.
	told bool
	// committed is true once a voter that was told has cast COMMITTED, with vote in round.
	committed bool
	vote      Vote
	round     uint64
	// abandoned is true once a voter that was told has gone on, or ended, without COMMITTED.
	abandoned bool
	// dissented is true once the voter was told ABORT in a round that the write depends on.
	dissented bool
}

// settled says that the voter has nothing more to do for the write.
func (m mark) settled() bool { return m.committed || m.abandoned || m.dissented }

// touched says that the write may be on the voter's disk.
func (m mark) touched() bool { return m.told && !m.abandoned }

// mayConfirm says that the voter was told COMMIT and has confirmed, or may still confirm, the
// write with the given vote.
func (m mark) mayConfirm(vote Vote) bool {
	return m.touched() && !m.dissented && (!m.committed || m.vote == vote)
}

// debt is a recorded write that a voter may still confirm.
type debt struct {
	write uint64
	vote  Vote
}
