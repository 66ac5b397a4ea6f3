package transaction

// Gate says which votes wait until this transaction has the repository's turn, so that commits
// happen in the same order on every node.
type Gate uint8

// The gates. PREPARED needs the turn behind every gate but GateNone.
const (
	// GateVotes makes the votes that come before any lock wait: PREPARING, the vote around the
	// update hook and votes we do not know.
	GateVotes Gate = iota
	// GatePrepared makes PREPARING and PREPARED wait, the latter with locks held.
	GatePrepared
	// GateHeld is for calls that lock before they vote: the turn is held when they start, and it
	// is taken again, as with GateVotes, for what follows the first record.
	GateHeld
	// GateNone is for creations, which exclude each other by other means.
	GateNone
)

// String returns the gate as the table of methods writes it.
func (g Gate) String() string {
	switch g {
	case GateVotes:
		return "gate"
	case GatePrepared:
		return "at_prepared"
	case GateHeld:
		return "before_dispatch"
	case GateNone:
		return "none"
	}
	return "unknown"
}

// The votes that nodes cast around hooks: SHA-1 of "synchronize <name> hook".
const (
	votePreReceive = "\x74\x75\xa0\xd8\x7c\xbb\xee\x23\xb9\xa7" +
		"\xe8\xcc\xde\x58\xa4\x94\xdb\x01\x61\x1f"
	voteUpdate = "\x95\x90\x87\xc3\x0d\x48\x3e\x52\xb9\xe8" +
		"\x57\x4a\x4b\xd5\x8c\x4c\xd7\x07\x06\x92"
	votePostReceive = "\x17\x70\x9b\xa9\xf2\x6e\xcc\x0b\x01\x09" +
		"\xe3\x01\x5e\xd9\xe8\x24\x79\x28\x41\xfb"
)

// is compares a vote with one of the constants above.
func (v Vote) is(constant string) bool { return string(v[:]) == constant }

// through says that a vote is one of those that follow the last reference of a push.
func through(phase Phase, vote Vote) bool {
	return phase == Synchronized && vote.is(votePostReceive) || phase == Committed && vote == Vote{}
}

// follow notes how the primary goes on after its hook has let it change a reference. Git asks a
// hook about the change before it makes it, but not about a deletion without an old value.
func (t *Transaction) follow(phase Phase) {
	t.sum.Silent = t.sum.Silent || t.updating && (phase == Synchronized || phase == Committed)
	t.updating = false
}

// gated says that a round which the primary decides waits for the turn.
func (t *Transaction) gated(phase Phase, vote Vote) bool {
	if t.gate == GateNone || t.gate == GatePrepared || phase == Committed {
		return false
	}
	return phase != Synchronized || (!vote.is(votePreReceive) && !vote.is(votePostReceive))
}

// pass lets a gated round through when the turn is held, and asks for it otherwise. Who holds it
// for an earlier update vote offers it to those that wait.
func (t *Transaction) pass(vote Vote) bool {
	if t.write.inProgress() {
		return false
	}
	if !t.holds() {
		t.ask(TurnRequest{})
		return false
	}
	if vote.is(voteUpdate) && t.turnUsed {
		t.turn, t.turnUsed, t.turnHurried = turnAsked, false, false
		t.ready.YieldTurn = true
		return false
	}
	t.turnUsed = t.turnUsed || vote.is(voteUpdate)
	return true
}

// prepare opens the gate for the voters that cast PREPARING, as far as possible.
func (t *Transaction) prepare() bool {
	opened := false
	for i := range t.voters {
		v := &t.voters[i]
		if v.wait.kind != waitGate {
			continue
		}
		if d := t.preparing(i, v.wait.round); d != 0 {
			t.answer(v, d)
			opened = true
		}
	}
	return opened
}

// preparing decides PREPARING in front of round n, or returns 0 while it has to wait.
func (t *Transaction) preparing(slot int, n uint64) Decision {
	switch {
	case t.rounds.decided(n):
		return t.preparingLate(t.rounds.at(n))
	case !t.steered():
		return t.refusal()
	case t.gate == GateNone:
		return Commit
	case t.barred():
		return Abort
	case t.write.blocks():
		return 0
	case t.holds():
		return Commit
	}
	t.askPreparing(slot)
	return 0
}

// preparingLate decides PREPARING of a straggler by the round in front of it. Unless its next
// vote can be told COMMIT it had better not take locks.
func (t *Transaction) preparingLate(r round) Decision {
	if r.phase == Prepared && !r.lost && t.write.accepts(r.write) {
		return Commit
	}
	return Abort
}

// askPreparing asks for the turn on behalf of a voter at the gate. Secondaries do not ask by
// themselves: a turn taken for a fast secondary would be held idly until a slow primary arrives.
func (t *Transaction) askPreparing(slot int) {
	p := t.primary()
	switch {
	case slot == 0:
		t.ask(TurnRequest{LocksHeld: t.gate == GateHeld || t.locksWait()})
	case p.wait.kind == waitRound && p.wait.phase == Prepared:
		t.ask(TurnRequest{LocksHeld: true})
	}
}

// locksWait says that a voter without a gate (an older node) waits with locks held.
func (t *Transaction) locksWait() bool {
	for i := range t.voters {
		if w := t.voters[i].wait; w.kind == waitRound && w.phase == Prepared {
			return true
		}
	}
	return false
}
