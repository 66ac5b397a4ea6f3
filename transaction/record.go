package transaction

import "slices"

// Recorded reports that the record of a write was written, and the turn given back with it.
// Raised voters are released; who was told COMMIT for the write and has not confirmed may still
// do so; who was not told is behind.
func (t *Transaction) Recorded(write uint64) {
	w := &t.write
	if w.number != write || w.state != writeRecording || t.failed {
		return
	}
	if t.turn == turnHeld {
		t.turn, t.turnUsed = turnNone, false
	}
	r := w.record
	if r.Outcome == Kept && t.steered() && !t.primary().mark.settled() {
		// The copies have decided the round in which the primary should have confirmed.
		t.push(round{phase: Committed, vote: w.vote, write: w.number})
	}
	if r.Primary != t.primary().name {
		t.deposed = true
	}
	t.sum.add(r)
	raised := func(v *voter) bool { return slices.Contains(r.Raise, v.name) }
	t.conclusion(raised)
	w.state = writeNone
	for i := range t.voters {
		t.release(&t.voters[i], raised(&t.voters[i]))
	}
	t.settle()
}

// RecordFailed reports that the outcome of a write is unknown. The turn stays as it is, everybody
// is told ABORT from now on, and the call must fail.
func (t *Transaction) RecordFailed(write uint64) {
	if t.write.number != write || t.write.state != writeRecording || t.failed {
		return
	}
	t.failed, t.sum.Failed = true, true
	for i := range t.voters {
		if v := &t.voters[i]; v.wait.kind != waitNone {
			t.answer(v, Abort)
		}
	}
}

// release lets a voter go on, or not, after a record.
func (t *Transaction) release(v *voter, raised bool) {
	w := &t.write
	kept := w.record.Outcome == Kept
	if raised {
		if v.wait.kind == waitWrite {
			t.answer(v, decisionOn(kept))
		}
		return
	}
	v.current = false
	if !kept || !v.running || !v.mark.mayConfirm(w.vote) {
		t.leave(v)
		return
	}
	v.owes = debt{write: w.number, vote: w.vote}
	if v.mark.committed {
		t.repay(v)
	}
}

func decisionOn(granted bool) Decision {
	if granted {
		return Commit
	}
	return Abort
}

// repay handles the confirmation of a write that was recorded without v.
func (t *Transaction) repay(v *voter) {
	write := v.owes.write
	v.owes = debt{}
	if v.learner {
		v.evidence = Confirmed
		t.answerWaiting(v, Commit)
		return
	}
	v.wait.kind = waitLate
	v.late = write
	t.ready.Late = append(t.ready.Late, Late{Write: write, Voter: v.name})
}

// LateResolved reports whether a straggler was taken back in.
func (t *Transaction) LateResolved(write uint64, name Voter, takenBack bool) {
	slot, ok := t.slots[name]
	if !ok {
		return
	}
	v := &t.voters[slot]
	if v.late == 0 || v.late != write {
		return
	}
	v.late = 0
	if takenBack {
		v.current = true
		v.evidence = Confirmed
	}
	if v.wait.kind != waitLate {
		return
	}
	if takenBack {
		t.answer(v, Commit)
	} else {
		t.leave(v)
	}
	t.settle()
}

// leave puts a voter behind: it is outdated, and repair decides.
func (t *Transaction) leave(v *voter) {
	v.behind = true
	v.owes = debt{}
	t.answerWaiting(v, Abort)
}

func (t *Transaction) answerWaiting(v *voter, d Decision) {
	if v.wait.kind != waitNone {
		t.answer(v, d)
	}
}
