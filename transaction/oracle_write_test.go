package transaction_test

import (
	"slices"

	"praefect/transaction"
)

// unfinished says that s may still take a step in the write in progress.
func (o *oracle) unfinished(s *oracleSeat) bool {
	d := o.deed(s)
	return s.open() && !d.settled() && (d.told || !o.dropped2())
}

func (o *oracle) copies(pass func(*oracleSeat) bool) []transaction.Voter {
	var names []transaction.Voter
	for _, s := range o.seats {
		if s.counts() && pass(s) {
			names = append(names, s.name)
		}
	}
	return names
}

func (o *oracle) confirmers(v transaction.Vote) []transaction.Voter {
	return o.copies(func(s *oracleSeat) bool { return o.deed(s).confirms(v) })
}

// best is the primary's value, or that of the largest group of copies.
func (o *oracle) best() (*transaction.Vote, int) {
	if o.write.value != nil {
		return o.write.value, len(o.confirmers(*o.write.value))
	}
	var best *transaction.Vote
	size := 0
	for _, s := range o.seats {
		if d := o.deed(s); s.counts() && d.closer != nil {
			if n := len(o.confirmers(d.closer.vote)); n > size {
				best, size = &d.closer.vote, n
			}
		}
	}
	return best, size
}

func (o *oracle) conclude() bool {
	w := o.inProgress()
	if w == nil || w.state != "open" {
		return false
	}
	waited, counted := false, false
	for _, s := range o.seats {
		if o.unfinished(s) {
			waited = true
			counted = counted || s.counts()
		}
	}
	_, size := o.best()
	enough := o.dropped2() || size >= o.config.MinimumCopies
	switch {
	case !waited, !enough && !counted, enough && w.grace == "ended":
		o.finish(w)
		return true
	case enough && w.grace == "":
		w.grace = "running"
		o.out.Grace[w.number] = true
	}
	return false
}

func (o *oracle) finish(w *oracleWrite) {
	delete(o.out.Grace, w.number)
	value, size := o.best()
	if !o.dropped2() && w.value == nil {
		w.value = value
	}
	touched := false
	for _, s := range o.seats {
		touched = touched || (!s.learner && o.deed(s).touched())
	}
	r := transaction.Record{Write: w.number, Verify: true}
	switch {
	case !o.dropped2() && size > 0:
		r.Outcome = transaction.Kept
		r.Raise = o.confirmers(*w.value)
		r.BelowMinimum = size < o.config.MinimumCopies
		r.Verify = o.deed(o.seats[0]).closer == nil && o.othersConfirmed(*w.value)
	case o.dropped2() && !touched:
		o.dropSilently(w)
		return
	default:
		r.Outcome = transaction.Dropped
		r.Raise = o.copies(func(s *oracleSeat) bool {
			d := o.deed(s)
			return !d.touched() && !d.dissented
		})
		if r.Raise == nil {
			r.Outcome, r.Raise = transaction.Doubtful, []transaction.Voter{o.config.Primary}
		}
	}
	r.Primary = o.successor(r.Raise)
	w.state, w.record = "recording", &r
	o.out.Record = &r
}

func (o *oracle) othersConfirmed(v transaction.Vote) bool {
	return slices.ContainsFunc(o.seats, func(s *oracleSeat) bool {
		d := o.deed(s)
		return d.closer != nil && d.closer.vote != v
	})
}

func (o *oracle) dropSilently(w *oracleWrite) {
	o.dropped++
	held := o.held()
	var behind []*oracleSeat
	for _, s := range o.seats {
		if s.learner && o.deed(s).touched() {
			behind = append(behind, s)
		}
	}
	w.state = "done"
	for _, s := range behind {
		delete(held, s)
		o.leave(s)
	}
	for _, v := range held {
		o.answer(v, transaction.Abort)
	}
}

// held lists the votes that wait for the record.
func (o *oracle) held() map[*oracleSeat]*oracleVote {
	votes := map[*oracleSeat]*oracleVote{}
	for _, s := range o.seats {
		v := s.pending()
		if v == nil || v.late || s.gate != nil {
			continue
		}
		if o.deed(s).closer == v || slices.Index(s.row, v) < len(o.rounds) {
			votes[s] = v
		}
	}
	return votes
}

func (o *oracle) successor(raise []transaction.Voter) transaction.Voter {
	if slices.Contains(raise, o.config.Primary) {
		return o.config.Primary
	}
	for _, name := range raise {
		if o.seat(name).open() {
			return name
		}
	}
	return raise[0]
}

func (o *oracle) hasRecorded() {
	w := o.write
	r := w.record
	if o.turn == "held" {
		o.turn, o.updated = "", false
	}
	p := o.seats[0]
	if r.Outcome == transaction.Kept && o.steered() && !o.deed(p).settled() {
		o.rounds = append(o.rounds,
			oracleRound{phase: committed, vote: *w.value, write: w})
		o.answerDecided0()
	}
	o.deposed = o.deposed || r.Primary != o.config.Primary
	deeds := map[*oracleSeat]deed{}
	for _, s := range o.seats {
		deeds[s] = o.deed(s)
	}
	held := o.held()
	w.state = "done"
	for _, s := range o.seats {
		o.release(s, deeds[s], held[s])
	}
	o.countRecord(r)
	o.settle()
}

// answerDecided0 answers what the new round decides before anybody is released.
func (o *oracle) answerDecided0() {
	for o.answerDecided() {
		continue
	}
}

func (o *oracle) countRecord(r *transaction.Record) {
	switch r.Outcome {
	case transaction.Kept:
		o.recorded++
	case transaction.Dropped:
		o.dropped++
	case transaction.Doubtful:
		o.doubts++
	}
}

func (o *oracle) release(s *oracleSeat, d deed, held *oracleVote) {
	w := o.write
	kept := w.record.Outcome == transaction.Kept
	if slices.Contains(w.record.Raise, s.name) {
		if held != nil && kept {
			o.answer(held, transaction.Commit)
		} else if held != nil {
			o.answer(held, transaction.Abort)
		}
		return
	}
	s.current = false
	mayPay := kept && d.told && !d.abandoned && !d.dissented && s.running()
	switch {
	case mayPay && d.closer == nil:
		s.owes = w
	case mayPay && d.closer.vote == *w.value:
		o.pay(s, d.closer, w)
	default:
		o.leave(s)
	}
}

func (o *oracle) finishTurn() {
	over := o.inProgress() == nil && !o.steered() && !o.failed
	running := slices.ContainsFunc(o.seats, (*oracleSeat).running)
	switch {
	case !over || o.turn == "" || o.turn == "over" || (o.turn == "held" && !o.prepared):
	case o.turn == "asked" || !running || o.tail == "ended":
		o.turn, o.out.Released = "over", true
		delete(o.out.Grace, 0)
	case o.tail == "":
		o.tail = "running"
		o.out.Grace[0] = true
	}
}
