package transaction_test

import (
	"slices"

	"praefect/transaction"
)

// oracle is a second implementation of the voting rules that is as dumb as possible: it keeps
// every vote that was ever cast, and after each event looks at all of them again, from the first
// round on, until nothing changes.
type oracle struct {
	config transaction.Config
	seats  []*oracleSeat // the primary first
	rounds []oracleRound
	write  *oracleWrite // the last one

	turn                      string // "", "asked", "held", "over"
	hurried, updated          bool
	stopped, aborted, failed  bool
	busy, deposed, prepared   bool
	tail                      string // "", "running", "ended"
	out                       effects
	tickets                   transaction.Ticket
	recorded, dropped, doubts int
}

type oracleSeat struct {
	name    transaction.Voter
	learner bool
	row     []*oracleVote // row[n] belongs to round n
	gate    *oracleVote
	ended   bool
	lost    bool
	behind  bool
	current bool
	owes    *oracleWrite
	late    *oracleWrite
}

type oracleVote struct {
	ticket transaction.Ticket
	phase  transaction.Phase
	vote   transaction.Vote
	answer transaction.Decision
	// late says that the vote closed a recorded write and waits for its late confirmation.
	late bool
	// astray says that the vote closed an open write in another round than the primary did.
	astray bool
	// refused says that it was answered without its round having been decided.
	refused bool
}

type oracleRound struct {
	phase transaction.Phase
	vote  transaction.Vote
	lost  bool
	write *oracleWrite
}

type oracleWrite struct {
	number uint64
	from   []int // the length of each row when the write was opened
	state  string
	// closing is the round in which the primary confirmed, or -1.
	closing int
	grace   string
	record  *transaction.Record
	value   *transaction.Vote
}

// effects is what a step led to, in a form that two implementations can be compared by.
type effects struct {
	Answers  map[transaction.Ticket]transaction.Decision
	Turn     string
	Locked   bool
	Released bool
	Grace    map[uint64]bool
	Record   *transaction.Record
	Late     map[transaction.Voter]uint64
	Commit   bool
}

func newEffects() effects {
	return effects{
		Answers: map[transaction.Ticket]transaction.Decision{}, Grace: map[uint64]bool{},
		Late: map[transaction.Voter]uint64{},
	}
}

func newOracle(c transaction.Config) *oracle {
	o := &oracle{config: c, out: newEffects()}
	if c.Gate == transaction.GateHeld {
		o.turn = "held"
	}
	names := append([]transaction.Voter{c.Primary}, c.Secondaries...)
	for i, name := range append(names, c.Learners...) {
		o.seats = append(o.seats, &oracleSeat{
			name: name, learner: i >= len(names), current: true,
		})
	}
	return o
}

func (s *oracleSeat) running() bool { return !s.ended && !s.lost }
func (s *oracleSeat) open() bool    { return s.running() && !s.behind }
func (s *oracleSeat) counts() bool  { return !s.learner && s.current }

func (o *oracle) seat(name transaction.Voter) *oracleSeat {
	i := slices.IndexFunc(o.seats, func(s *oracleSeat) bool { return s.name == name })
	return o.seats[i]
}

func (o *oracle) steered() bool {
	return o.seats[0].open() && !o.stopped && !o.aborted && !o.failed
}

func (o *oracle) answer(v *oracleVote, d transaction.Decision) {
	v.answer, v.late = d, false
	o.out.Answers[v.ticket] = d
}

// pending returns the one vote of s that is not answered, or nil.
func (s *oracleSeat) pending() *oracleVote {
	if s.gate != nil {
		return s.gate
	}
	for _, v := range s.row {
		if v != nil && v.answer == 0 {
			return v
		}
	}
	return nil
}

func (o *oracle) cast(name transaction.Voter, p transaction.Phase, vote transaction.Vote) {
	s := o.seat(name)
	if s.pending() != nil {
		return
	}
	o.tickets++
	v := &oracleVote{ticket: o.tickets, phase: p, vote: vote}
	o.prepared = o.prepared || p == transaction.Prepared
	if !s.open() || o.failed {
		o.answer(v, transaction.Abort)
		return
	}
	if p == transaction.Preparing {
		s.gate = v
	} else {
		s.row = append(s.row, v)
		o.payDebt(s, v)
	}
	o.settle()
}

// payDebt handles the next vote of a voter that has not confirmed a recorded write.
func (o *oracle) payDebt(s *oracleSeat, v *oracleVote) {
	w := s.owes
	if w == nil {
		return
	}
	s.owes = nil
	if v.phase != transaction.Committed || v.vote != *w.value {
		o.leave(s)
		return
	}
	o.pay(s, v, w)
}

func (o *oracle) pay(s *oracleSeat, v *oracleVote, w *oracleWrite) {
	if s.learner {
		o.answer(v, transaction.Commit)
		return
	}
	v.late = true
	s.late = w
	o.out.Late[s.name] = w.number
}

func (o *oracle) leave(s *oracleSeat) {
	s.behind, s.owes = true, nil
	o.abortPending(s)
}

func (o *oracle) abortPending(s *oracleSeat) {
	if v := s.pending(); v != nil {
		v.refused = true
		o.answer(v, transaction.Abort)
	}
	s.gate = nil
}

func (o *oracle) end(name transaction.Voter, lost bool) {
	s := o.seat(name)
	if !s.running() {
		return
	}
	s.lost, s.ended, s.owes = lost, !lost, nil
	o.abortPending(s)
	o.settle()
}

func (o *oracle) turnTaken(lapsed []transaction.Voter) {
	o.turn, o.updated = "held", false
	for _, name := range lapsed {
		s := o.seat(name)
		s.current = false
		o.leave(s)
	}
	o.settle()
}

func (o *oracle) turnRefused() {
	o.turn, o.busy = "", true
	o.settle()
}

func (o *oracle) graceEnded(write uint64) {
	if write == 0 {
		o.tail = "ended"
	} else if o.write.number == write && o.write.grace == "running" {
		o.write.grace = "ended"
	}
	o.settle()
}

func (o *oracle) lateResolved(name transaction.Voter, back bool) {
	s := o.seat(name)
	s.late = nil
	s.current = s.current || back
	if v := s.pending(); v != nil && v.late {
		if back {
			o.answer(v, transaction.Commit)
		} else {
			o.leave(s)
		}
		o.settle()
	}
}

func (o *oracle) recordFailed() {
	o.failed = true
	for _, s := range o.seats {
		o.abortPending(s)
	}
}
