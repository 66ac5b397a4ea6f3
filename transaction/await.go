package transaction

// awaited lists the voters that others wait for: in a round that is decided, or in which all
// other voters that count have voted, or in a write that is open, as soon as one has confirmed it
// or the primary is gone. Before the primary's first vote nobody awaits it, and never for a vote
// around a hook: a hook may run for minutes, and the client's deadline limits it.
func (t *Transaction) awaited() []Awaited {
	t.await = t.await[:0]
	for i := range t.voters {
		if v := &t.voters[i]; v.open() && v.wait.kind == waitNone && t.isAwaited(i) {
			t.await = append(t.await, Awaited{Voter: v.name, Step: v.steps})
		}
	}
	return t.await
}

func (t *Transaction) isAwaited(slot int) bool {
	v := &t.voters[slot]
	open := t.commits(v)
	switch {
	case t.rounds.decided(v.next):
		return true
	case !t.primary().open():
		return open
	case open && t.writeWaits():
		return true
	case slot != 0:
		return !v.learner && t.othersVoted(slot)
	default:
		return v.voted && t.othersVoted(slot) && !t.hookWaits()
	}
}

// commits says that a voter may still take a step in a write that is open.
func (t *Transaction) commits(v *voter) bool {
	return t.write.state == writeOpen && t.unfinished(v)
}

// writeWaits says that somebody has confirmed the write in progress and waits for its record.
func (t *Transaction) writeWaits() bool {
	for i := range t.voters {
		if t.voters[i].wait.kind == waitWrite {
			return true
		}
	}
	return false
}

// othersVoted says that every other voter that counts waits with a vote, and that there is one.
func (t *Transaction) othersVoted(slot int) bool {
	some := false
	for i := range t.voters {
		v := &t.voters[i]
		if i == slot || v.learner || !v.open() {
			continue
		}
		if v.wait.kind == waitNone {
			return false
		}
		some = true
	}
	return some
}

// hookWaits says that all votes that wait are votes around a hook.
func (t *Transaction) hookWaits() bool {
	for i := range t.voters {
		w := t.voters[i].wait
		if w.kind != waitNone && (w.kind != waitRound || w.phase != Synchronized) {
			return false
		}
	}
	return true
}
