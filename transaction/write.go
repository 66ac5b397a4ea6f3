package transaction

// writeState follows the write in progress.
type writeState uint8

const (
	// writeNone means that no write is in progress.
	writeNone writeState = iota
	// writeOpen means that COMMIT was told for PREPARED and the outcome is not known yet.
	writeOpen
	// writeRecording means that the outcome is being written; it does not change any more.
	writeRecording
)

// write is the write in progress. There is at most one: the next PREPARED round either belongs to
// it, or waits for its end.
type write struct {
	number uint64
	state  writeState
	// dropped is true once the primary has abandoned the write.
	dropped bool
	// valued is true once vote is what a COMMITTED vote has to be in order to confirm the write.
	valued bool
	vote   Vote
	grace  graceState
	record Record
}

// inProgress says that the outcome is still to come.
func (w *write) inProgress() bool { return w.state != writeNone }

// concerns says that write n is the one in progress.
func (w *write) concerns(n uint64) bool { return w.inProgress() && w.number == n }

// blocks says that the write has to be concluded before anybody is told COMMIT for PREPARED.
func (w *write) blocks() bool { return w.inProgress() && !w.accepts(w.number) }

// accepts says that a vote for PREPARED of write n may still be told COMMIT.
func (w *write) accepts(n uint64) bool {
	return n != 0 && w.number == n && w.state == writeOpen && !w.dropped
}

// begin opens the next write.
func (t *Transaction) begin() {
	t.write = write{number: t.write.number + 1, state: writeOpen}
	for i := range t.voters {
		t.voters[i].mark = mark{}
	}
}

// closes says that a vote ends the part of v in the write in progress, if only that of a
// dissenter. The all-zero vote at the end of a push never does: it is cast whether or not git
// went on after PREPARED.
func (t *Transaction) closes(v *voter, phase Phase, vote Vote) bool {
	return t.write.inProgress() && v.mark.touched() && !v.mark.committed &&
		phase == Committed && vote != Vote{}
}

// confirm takes the COMMITTED vote that v waits with. The primary's fixes what the others have to
// cast, and in which round, unless the record of the copies is under way already.
func (t *Transaction) confirm(v *voter) {
	w := &t.write
	v.mark.committed, v.mark.vote, v.mark.round = true, v.wait.vote, v.wait.round
	v.wait.kind = waitWrite
	if t.rounds.decided(v.wait.round) {
		t.compare(v, t.rounds.at(v.wait.round))
		return
	}
	if v != t.primary() {
		return
	}
	if !w.valued {
		w.valued, w.vote = true, v.wait.vote
	}
	if v.wait.round == t.rounds.frontier() { // not so when an earlier vote of it was refused
		t.push(round{phase: Committed, vote: w.vote, write: w.number})
	}
}

// owesConfirmation says that v was told COMMIT in the write in progress and has not gone on yet.
func (t *Transaction) owesConfirmation(v *voter) bool {
	return t.write.inProgress() && v.mark.told && !v.mark.settled()
}

// abandon notes that v went on, or ended, without confirming the write in progress.
func (t *Transaction) abandon(v *voter) {
	v.mark.abandoned = true
	if v == t.primary() && t.write.state == writeOpen {
		t.write.dropped = true
	}
}

// unfinished says that a voter may still take a step in the write in progress.
func (t *Transaction) unfinished(v *voter) bool {
	if t.write.dropped && !v.mark.told {
		return false // it will be told ABORT
	}
	return v.open() && !v.mark.settled()
}

// conclude ends the write in progress when enough is known about it.
func (t *Transaction) conclude() bool {
	w := &t.write
	if w.state != writeOpen {
		return false
	}
	copies, others := t.outstanding()
	enough := w.dropped || t.confirmations() >= t.minimum
	switch {
	case !enough && copies > 0:
		return false
	case !enough, copies+others == 0, w.grace == graceEnded:
		return t.finish()
	case w.grace == graceNone:
		w.grace = graceRunning
		t.ready.Grace = t.graceFor(w.number, t.unfinished)
	}
	return false
}

// outstanding counts the voters that may still take a step: those that can be copies, and others.
func (t *Transaction) outstanding() (copies, others int) {
	for i := range t.voters {
		v := &t.voters[i]
		switch {
		case !t.unfinished(v):
		case v.counts():
			copies++
		default:
			others++
		}
	}
	return copies, others
}

// confirmations is the number of copies that have cast the COMMITTED vote that counts, or the
// size of the largest group as long as the primary has not cast its own.
func (t *Transaction) confirmations() int {
	if t.write.valued {
		return t.group(t.write.vote)
	}
	_, size := t.largest()
	return size
}

// group counts the copies that confirmed the write with the given vote.
func (t *Transaction) group(vote Vote) int {
	size := 0
	for i := range t.voters {
		if v := &t.voters[i]; v.counts() && v.mark.confirms(vote) {
			size++
		}
	}
	return size
}

func (m mark) confirms(vote Vote) bool {
	return m.committed && !m.dissented && m.vote == vote
}

// largest finds the largest group of copies with the same COMMITTED vote; of two equal ones the
// first in the order of the voters.
func (t *Transaction) largest() (Vote, int) {
	var best Vote
	size := 0
	for i := range t.voters {
		v := &t.voters[i]
		if !v.counts() || !v.mark.committed || v.mark.dissented {
			continue
		}
		if n := t.group(v.mark.vote); n > size {
			best, size = v.mark.vote, n
		}
	}
	return best, size
}
