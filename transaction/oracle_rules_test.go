package transaction_test

import (
	"slices"

	"praefect/transaction"
)

const (
	prepared  = transaction.Prepared
	committed = transaction.Committed
)

// settle applies the rules until none of them does anything any more.
func (o *oracle) settle() {
	o.findAstray()
	for !o.failed && (o.answerDecided() || o.decide() || o.openGates() || o.conclude()) {
		o.findAstray()
	}
	o.finishTurn()
}

// findAstray marks the votes that closed the open write in a round that is not its last.
func (o *oracle) findAstray() {
	w := o.inProgress()
	if w == nil || w.state != "open" || o.dropped1(w) {
		return
	}
	for _, s := range o.seats {
		if v := o.deed(s).closer; v != nil {
			n := slices.Index(s.row, v)
			v.astray = v.astray || (n < len(o.rounds) && n != w.closing)
		}
	}
}

// inProgress returns the write that has an outcome still to come, or nil.
func (o *oracle) inProgress() *oracleWrite {
	if o.write == nil || o.write.state == "done" {
		return nil
	}
	return o.write
}

// deed is what a voter did in the write in progress, read off its row.
type deed struct {
	told, dissented, abandoned bool
	closer                     *oracleVote // its COMMITTED
}

func (d deed) settled() bool { return d.dissented || d.abandoned || d.closer != nil }
func (d deed) touched() bool { return d.told && !d.abandoned }
func (d deed) confirms(v transaction.Vote) bool {
	return d.closer != nil && !d.dissented && d.closer.vote == v
}

// deed reads the row of s from the round on in which the write was opened.
func (o *oracle) deed(s *oracleSeat) deed {
	var d deed
	w := o.inProgress()
	if w == nil {
		return d
	}
	for n := w.from[slices.Index(o.seats, s)]; n < len(s.row); n++ {
		if d.closer != nil || d.abandoned {
			break
		}
		v := s.row[n]
		mine := n < len(o.rounds) && o.rounds[n].write == w && !o.rounds[n].lost
		differs := mine && (o.rounds[n].phase != v.phase || o.rounds[n].vote != v.vote)
		switch {
		case d.told && v.phase == committed && v.vote != transaction.Vote{}:
			d.closer, d.dissented = v, d.dissented || v.astray
		case d.told && v.phase != prepared && !d.dissented:
			d.abandoned = true
		case differs && v.answer != 0 && !v.refused:
			d.dissented = true
		case mine && v.phase == prepared && v.answer == transaction.Commit:
			d.told = true
		}
	}
	if d.told && !d.settled() && s.ended { // a dissenter has nothing left to abandon
		d.abandoned = true
	}
	return d
}

// dropped1 says that the primary has abandoned the write.
func (o *oracle) dropped1(w *oracleWrite) bool {
	p := o.seats[0]
	told := false
	for n := w.from[0]; n < len(p.row); n++ {
		v := p.row[n]
		switch {
		case !told:
			told = n < len(o.rounds) && o.rounds[n].write == w && v.answer == transaction.Commit
		case v.phase == committed && v.vote != transaction.Vote{}:
			return false
		case v.phase != prepared:
			return true
		}
	}
	return told && p.ended
}

func (o *oracle) dropped2() bool { return o.inProgress() != nil && o.dropped1(o.write) }

// accepts says that PREPARED of write w may be told COMMIT.
func (o *oracle) accepts(w *oracleWrite) bool {
	return w != nil && w == o.inProgress() && w.state == "open" && !o.dropped1(w)
}

// answerDecided answers votes in rounds that are decided.
func (o *oracle) answerDecided() bool {
	for _, s := range o.seats {
		for n, v := range s.row {
			if v.answer != 0 || v.late || n >= len(o.rounds) || o.deed(s).closer == v {
				continue
			}
			r := o.rounds[n]
			switch {
			case r.lost || r.phase != v.phase || r.vote != v.vote:
				o.answer(v, transaction.Abort)
			case r.phase == prepared && (!o.accepts(r.write) || o.deed(s).settled()):
				o.answer(v, transaction.Abort)
			case r.phase == prepared || r.write == nil:
				o.answer(v, transaction.Commit)
			case r.write == o.inProgress():
				continue // until the record
			default:
				o.answer(v, transaction.Abort)
			}
			return true
		}
	}
	return false
}

// inFrontier returns the vote of s in the first undecided round, or nil.
func (o *oracle) inFrontier(s *oracleSeat) *oracleVote {
	if n := len(o.rounds); n < len(s.row) && s.row[n].answer == 0 && !s.row[n].late {
		return s.row[n]
	}
	return nil
}

func (o *oracle) refusal() transaction.Decision {
	if o.stopped && !o.aborted {
		return transaction.Stop
	}
	return transaction.Abort
}

func (o *oracle) decide() bool {
	p := o.seats[0]
	v := o.inFrontier(p)
	w := o.inProgress()
	if w != nil && w.value == nil && o.deed(p).closer != nil && !o.deed(p).dissented {
		w.value = &o.deed(p).closer.vote
	}
	if v != nil && w != nil && o.deed(p).closer == v && w.closing < 0 {
		w.closing = len(o.rounds)
		o.rounds = append(o.rounds, oracleRound{phase: committed, vote: *w.value, write: w})
		return true
	}
	switch {
	case !o.steered():
		return o.refuseUndecided()
	case v == nil:
		return false
	case v.phase == prepared:
		return o.decidePrepared(v)
	case o.gated(v):
		return o.decideGated(v)
	}
	o.rounds = append(o.rounds, oracleRound{phase: v.phase, vote: v.vote})
	return true
}

func (o *oracle) refuseUndecided() bool {
	for _, s := range o.seats {
		for n, v := range s.row {
			if v.answer == 0 && !v.late && n >= len(o.rounds) && o.deed(s).closer != v {
				v.refused = true
				o.answer(v, o.refusal())
				return true
			}
		}
	}
	return false
}

func (o *oracle) gated(v *oracleVote) bool {
	hooks := []transaction.Vote{hash("pre-receive"), hash("post-receive")}
	free := v.phase == transaction.Synchronized && slices.Contains(hooks, v.vote)
	voting := o.config.Gate == transaction.GateVotes || o.config.Gate == transaction.GateHeld
	return voting && v.phase != committed && !free
}

func (o *oracle) barred() bool { return o.busy || o.deposed || o.turn == "over" }
func (o *oracle) holds() bool {
	return o.turn == "held" || o.config.Gate == transaction.GateNone
}

func (o *oracle) lose() bool {
	o.rounds = append(o.rounds, oracleRound{lost: true})
	return true
}

func (o *oracle) decideGated(v *oracleVote) bool {
	switch {
	case o.barred():
		return o.lose()
	case o.inProgress() != nil:
		return false
	case !o.holds():
		o.ask(false)
		return false
	case v.vote == hash("update") && o.updated:
		o.turn, o.updated, o.hurried = "asked", false, false
		o.out.Turn = "yield"
		return false
	}
	o.updated = o.updated || v.vote == hash("update")
	o.rounds = append(o.rounds, oracleRound{phase: v.phase, vote: v.vote})
	return true
}

func (o *oracle) ask(locked bool) {
	switch {
	case o.turn == "" && o.inProgress() == nil:
		o.turn, o.hurried, o.updated = "asked", locked, false
		o.out.Turn, o.out.Locked = "take", locked
	case o.turn == "asked" && locked && !o.hurried:
		o.hurried = true
		o.out.Turn, o.out.Locked = "take", true
	}
}

func (o *oracle) decidePrepared(v *oracleVote) bool {
	if w := o.inProgress(); w != nil && !o.accepts(w) {
		return false
	}
	agree, missing := 0, 0
	for _, s := range o.seats {
		if !s.open() || !s.counts() || o.deed(s).settled() {
			continue
		}
		if mine := o.inFrontier(s); mine == nil {
			missing++
		} else if mine.phase == prepared && mine.vote == v.vote {
			agree++
		}
	}
	switch {
	case o.barred() || agree+missing < o.config.MinimumCopies:
		return o.lose()
	case agree < o.config.MinimumCopies:
		return false
	case !o.holds():
		o.ask(true)
		return false
	}
	w := o.inProgress()
	if w == nil {
		w = o.newWrite()
	}
	o.rounds = append(o.rounds, oracleRound{phase: prepared, vote: v.vote, write: w})
	return true
}

func (o *oracle) newWrite() *oracleWrite {
	w := &oracleWrite{number: 1, state: "open", closing: -1}
	if o.write != nil {
		w.number = o.write.number + 1
	}
	for _, s := range o.seats {
		from := len(s.row)
		for from > 0 && s.row[from-1].answer == 0 {
			from--
		}
		w.from = append(w.from, from)
	}
	o.write = w
	o.out.Commit = true
	return w
}

func (o *oracle) openGates() bool {
	opened := false
	for i, s := range o.seats {
		if s.gate == nil {
			continue
		}
		if d := o.gate(i, len(s.row)); d != 0 {
			o.answer(s.gate, d)
			s.gate = nil
			opened = true
		}
	}
	return opened
}

func (o *oracle) gate(i, n int) transaction.Decision {
	w := o.inProgress()
	switch {
	case n < len(o.rounds) && o.rounds[n].phase == prepared && o.accepts(o.rounds[n].write):
		return transaction.Commit
	case n < len(o.rounds):
		return transaction.Abort
	case !o.steered():
		return o.refusal()
	case o.config.Gate == transaction.GateNone:
		return transaction.Commit
	case o.barred():
		return transaction.Abort
	case w != nil && !o.accepts(w):
		return 0
	case o.holds():
		return transaction.Commit
	}
	p := o.inFrontier(o.seats[0])
	if i == 0 {
		locked := o.config.Gate == transaction.GateHeld
		for _, s := range o.seats {
			v := o.inFrontier(s)
			locked = locked || (v != nil && v.phase == prepared)
		}
		o.ask(locked)
	} else if p != nil && p.phase == prepared {
		o.ask(true)
	}
	return 0
}
