package transaction

import "fmt"

// Transaction is the agreement of the nodes on what one call changes. It is a plain value:
// methods are events, [Transaction.Ready] returns what they ask for. It is not safe for
// concurrent use.
type Transaction struct {
	minimum int
	gate    Gate

	// voters[0] is the primary. The order is that of the configuration, learners last.
	voters []voter
	slots  map[Voter]int
	rounds history
	write  write

	turn turnState
	// turnUsed is true once an update vote was released under the turn that is held.
	turnUsed bool
	// turnHurried is true once the turn was asked for with locks held.
	turnHurried bool
	// tail is the grace before the turn is given back for good.
	tail graceState

	// stopped, aborted and failed mean that the frontier is decided no more.
	stopped, aborted, failed bool
	// updating is true while the primary's latest vote that was released is the one around the
	// update hook, after which it changes a reference.
	updating bool
	// deposed is true once a record has replaced the primary: it steers the rounds on if it is
	// taken back in, and opens no further write.
	deposed bool

	tickets Ticket
	sum     Summary
	ready   Ready
	await   []Awaited
}

// New returns a transaction in which nobody has voted yet. It fails with [ErrNoPrimary],
// [ErrDuplicateVoter], [ErrMinimumCopies] or [ErrUnknownGate].
func New(c Config) (*Transaction, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	n := 1 + len(c.Secondaries) + len(c.Learners)
	t := &Transaction{
		minimum: c.MinimumCopies,
		gate:    c.Gate,
		voters:  make([]voter, 0, n),
		slots:   make(map[Voter]int, n),
		await:   make([]Awaited, 0, n),
		ready:   Ready{Answers: make([]Answer, 0, n)},
	}
	if c.Gate == GateHeld {
		t.turn = turnHeld
	}
	t.enter(c.Primary, false)
	for _, name := range c.Secondaries {
		t.enter(name, false)
	}
	for _, name := range c.Learners {
		t.enter(name, true)
	}
	if len(t.slots) != n {
		return nil, fmt.Errorf("%w: among %d voters", ErrDuplicateVoter, n)
	}
	return t, nil
}

func (t *Transaction) enter(name Voter, learner bool) {
	t.slots[name] = len(t.voters)
	t.voters = append(t.voters, voter{name: name, learner: learner, running: true, current: true})
}

func (t *Transaction) primary() *voter { return &t.voters[0] }

// steered says that the frontier will be decided: the primary can vote and nobody gave up.
func (t *Transaction) steered() bool {
	return t.primary().open() && !t.stopped && !t.aborted && !t.failed
}

// Cast takes a vote. The decision comes through [Ready], with the returned ticket; it may be
// there at once. A voter that is closed is told ABORT. Cast fails with [ErrUnknownVoter], or with
// [ErrVotePending] when an earlier vote of the voter is not answered yet; then nothing has
// changed.
func (t *Transaction) Cast(name Voter, phase Phase, vote Vote) (Ticket, error) {
	slot, ok := t.slots[name]
	if !ok {
		return 0, fmt.Errorf("%w: %q", ErrUnknownVoter, name)
	}
	v := &t.voters[slot]
	if v.wait.kind != waitNone {
		return 0, fmt.Errorf("%w: %q", ErrVotePending, name)
	}
	t.tickets++
	ticket := t.tickets
	v.voted = true
	v.steps++
	v.wait = wait{kind: waitRound, ticket: ticket, phase: phase, vote: vote, round: v.next}
	t.sum.Prepared = t.sum.Prepared || phase == Prepared
	if v == t.primary() {
		t.sum.Through = through(phase, vote)
		t.follow(phase)
	}
	if !v.open() || t.failed {
		t.answer(v, Abort)
		return ticket, nil
	}
	t.place(v)
	t.settle()
	return ticket, nil
}

// place files a new vote of an open voter where it has to wait, or decides it.
func (t *Transaction) place(v *voter) {
	w := &v.wait
	if w.phase == Preparing {
		w.kind = waitGate
		return
	}
	v.next++
	if v.owes.write != 0 {
		if w.phase == Committed && w.vote == v.owes.vote {
			t.repay(v)
		} else {
			t.leave(v)
		}
		return
	}
	if t.closes(v, w.phase, w.vote) {
		t.confirm(v)
		return
	}
	if w.phase != Prepared && t.owesConfirmation(v) {
		t.abandon(v)
	}
	if t.rounds.decided(w.round) {
		t.judge(v, t.rounds.at(w.round))
	}
}

// Ended reports that the voter's RPC has ended on its node, so that what it did is final: a write
// that it was told COMMIT for and did not confirm is abandoned.
func (t *Transaction) Ended(name Voter) {
	if v := t.runningVoter(name); v != nil {
		if t.owesConfirmation(v) {
			t.abandon(v)
		}
		t.end(v)
	}
}

// Lost reports that contact with the voter was lost: nothing is known of it any more. A write
// that it was told COMMIT for and did not confirm is uncertain.
func (t *Transaction) Lost(name Voter) {
	if v := t.runningVoter(name); v != nil {
		t.end(v)
	}
}

func (t *Transaction) runningVoter(name Voter) *voter {
	slot, ok := t.slots[name]
	if !ok || !t.voters[slot].running {
		return nil
	}
	return &t.voters[slot]
}

func (t *Transaction) end(v *voter) {
	v.running = false
	v.owes = debt{}
	t.answerWaiting(v, Abort)
	t.settle()
}

// Stop reports that a hook on the primary refused the change. Votes in rounds that the primary
// has not completed are told STOP; stragglers in decided rounds, and a write that is open, go on.
func (t *Transaction) Stop() {
	t.stopped = true
	t.settle()
}

// Abort gives up: rounds that are not decided are lost from now on. A write that is open still
// goes to its record.
func (t *Transaction) Abort() {
	t.aborted = true
	t.settle()
}

// settle follows the consequences of an event to their end, and forgets the rounds that every
// open voter has passed.
func (t *Transaction) settle() {
	if t.failed {
		return
	}
	for t.decide() || t.prepare() || t.conclude() {
		continue
	}
	t.finishTurn()
	oldest := t.rounds.frontier()
	for i := range t.voters {
		v := &t.voters[i]
		if v.wait.kind == waitGate {
			oldest = min(oldest, v.wait.round)
		} else if v.open() {
			oldest = min(oldest, v.next)
		}
	}
	t.rounds.drop(oldest)
}
