package transaction

// round is a decided round: what a vote has to be in order to be told COMMIT.
type round struct {
	phase Phase
	vote  Vote
	// lost is true when everybody is told ABORT.
	lost bool
	// write is the write that the round belongs to, or 0.
	write uint64
}

// history holds the decided rounds that some open voter has not reached yet.
//
// Invariant: an undecided round is answered to nobody, so no voter is ever beyond the first of
// them. There is at most one undecided round with votes in it, the frontier, and its votes are
// exactly those that wait. That is why a round needs no list of votes.
type history struct {
	// base is the number of the round kept[head]; rounds before it were dropped.
	base uint64
	head int
	kept []round
}

// frontier is the number of the first round that is not decided.
func (h *history) frontier() uint64 { return h.base + uint64(len(h.kept)-h.head) }

func (h *history) decided(n uint64) bool { return n < h.frontier() }

// at returns round n. A dropped round was passed by all who may still ask, so asking for one is
// answered with a lost round: ABORT is the safe answer.
func (h *history) at(n uint64) round {
	if n < h.base || !h.decided(n) {
		return round{lost: true}
	}
	return h.kept[h.head+int(n-h.base)]
}

func (h *history) push(r round) { h.kept = append(h.kept, r) }

// drop forgets the rounds before n. What is left moves to the front of the array once it is at
// most half of it, so that the array does not grow with the number of rounds and each round is
// moved once on average.
func (h *history) drop(n uint64) {
	n = min(n, h.frontier())
	if n <= h.base {
		return
	}
	h.head += int(n - h.base)
	h.base = n
	if h.head >= len(h.kept)-h.head {
		h.kept = h.kept[:copy(h.kept, h.kept[h.head:])]
		h.head = 0
	}
}

// push decides the frontier and judges every vote that was cast in it, also the confirmations of
// voters that have closed since.
func (t *Transaction) push(r round) {
	n := t.rounds.frontier()
	t.rounds.push(r)
	for i := range t.voters {
		v := &t.voters[i]
		if v.mark.committed && v.mark.round == n {
			t.compare(v, r)
		}
		if v.wait.kind == waitRound && v.wait.round == n {
			t.judge(v, r)
		}
	}
}

// judge answers a vote that waits, by the decision on its round.
func (t *Transaction) judge(v *voter, r round) {
	current := t.write.concerns(r.write)
	if !v.wait.matches(r) {
		if current && !v.mark.settled() {
			v.mark.dissented = true
		}
		t.answer(v, Abort)
		return
	}
	switch {
	case r.phase == Prepared:
		t.judgePrepared(v, r)
	case r.write == 0:
		t.answer(v, Commit)
	case current:
		v.wait.kind = waitWrite // nobody is released from COMMITTED before the record
	default:
		t.answer(v, Abort)
	}
}

func (t *Transaction) judgePrepared(v *voter, r round) {
	if !t.write.accepts(r.write) || v.mark.settled() {
		t.answer(v, Abort)
		return
	}
	v.mark.told = true
	t.answer(v, Commit)
}

// matches says that the vote is the one that the round was decided for.
func (w *wait) matches(r round) bool {
	return !r.lost && w.phase == r.phase && w.vote == r.vote
}

// compare marks a voter that confirmed a write in another round than the primary did.
func (t *Transaction) compare(v *voter, r round) {
	closes := r.phase == Committed && r.write == t.write.number
	if !closes && !t.write.dropped && t.write.state == writeOpen {
		v.mark.dissented = true
	}
}

// decide decides the frontier, if the votes and the turn allow it.
func (t *Transaction) decide() bool {
	if !t.steered() {
		return t.sweep()
	}
	p := t.primary()
	if p.wait.kind != waitRound {
		return false
	}
	if p.wait.phase == Prepared {
		return t.decidePrepared(p.wait.vote)
	}
	switch gated := t.gated(p.wait.phase, p.wait.vote); {
	case gated && t.barred():
		t.lose()
	case gated && !t.pass(p.wait.vote):
		return false
	default:
		t.updating = p.wait.phase == Synchronized && p.wait.vote.is(voteUpdate)
		t.push(round{phase: p.wait.phase, vote: p.wait.vote})
	}
	return true
}

// sweep answers the votes of a round that nobody will decide any more.
func (t *Transaction) sweep() bool {
	swept := false
	for i := range t.voters {
		if v := &t.voters[i]; v.wait.kind == waitRound {
			t.answer(v, t.refusal())
			swept = true
		}
	}
	return swept
}

// refusal is the answer in rounds that will not be decided.
func (t *Transaction) refusal() Decision {
	if t.stopped && !t.aborted && !t.failed {
		return Stop
	}
	return Abort
}

// lose decides the frontier against everybody who votes in it.
func (t *Transaction) lose() {
	t.sum.LostRounds++
	t.push(round{lost: true})
}
