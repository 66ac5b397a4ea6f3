package transaction

// turnState follows the repository's turn.
type turnState uint8

const (
	// turnNone means that the turn is not held; a record gives it back.
	turnNone turnState = iota
	turnAsked
	turnHeld
	// turnOver means that it was given back for good.
	turnOver
)

// holds says that votes may be released that need the turn.
func (t *Transaction) holds() bool { return t.turn == turnHeld || t.gate == GateNone }

// barred says that this transaction gets the turn no more.
func (t *Transaction) barred() bool { return t.sum.Busy || t.deposed || t.turn == turnOver }

// ask asks for the turn once, and once more to hurry when somebody has come to wait with locks.
func (t *Transaction) ask(r TurnRequest) {
	switch {
	case t.turn == turnNone && !t.write.inProgress():
		t.turn, t.turnUsed, t.turnHurried = turnAsked, false, r.LocksHeld
		t.ready.TakeTurn = &r
	case t.turn == turnAsked && r.LocksHeld && !t.turnHurried:
		t.turnHurried = true
		t.ready.TakeTurn = &r
	}
}

// TurnTaken reports that the turn is held. Lapsed are the voters that were found not to be
// current any more when it was taken: they are no copies and every vote of them is told ABORT.
func (t *Transaction) TurnTaken(lapsed []Voter) {
	if t.turn != turnAsked {
		return
	}
	t.turn, t.turnUsed = turnHeld, false
	for _, name := range lapsed {
		if slot, ok := t.slots[name]; ok {
			v := &t.voters[slot]
			v.current = false
			t.leave(v)
		}
	}
	t.settle()
}

// TurnRefused reports that the turn was not to be had. Who waits for it, now or later, is told
// ABORT.
func (t *Transaction) TurnRefused() {
	if t.turn != turnAsked {
		return
	}
	t.turn = turnNone
	t.sum.Busy = true
	t.settle()
}

// finishTurn gives the turn back once nothing can need it any more. While voters are still
// removing their locks it waits a grace for them, so that the next writer does not run into these
// locks. When nobody cast PREPARED the shell keeps the turn: what the call changed without a vote
// is recorded under it.
func (t *Transaction) finishTurn() {
	if t.write.inProgress() || t.steered() {
		return
	}
	switch {
	case t.turn == turnAsked:
		t.endTurn()
	case t.turn != turnHeld || !t.sum.Prepared:
	case !t.anyRunning() || t.tail == graceEnded:
		t.endTurn()
	case t.tail == graceNone:
		t.tail = graceRunning
		t.ready.Grace = t.graceFor(0, func(v *voter) bool { return v.running })
	}
}

func (t *Transaction) endTurn() {
	t.turn = turnOver
	t.ready.ReleaseTurn, t.ready.Grace = true, nil
}

func (t *Transaction) anyRunning() bool {
	for i := range t.voters {
		if t.voters[i].running {
			return true
		}
	}
	return false
}
