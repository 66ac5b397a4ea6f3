package transaction

// finish turns the evidence of the write in progress into a record, or into nothing when nobody
// can have changed anything.
func (t *Transaction) finish() bool {
	w := &t.write
	t.ready.Grace = nil // what was to be waited for has come meanwhile
	if !w.valued && !w.dropped {
		if vote, size := t.largest(); size > 0 {
			w.valued, w.vote = true, vote
		}
	}
	switch {
	case !w.dropped && w.valued && t.group(w.vote) > 0:
		t.keep()
	case w.dropped && !t.anyTouched():
		t.nothing()
		return true
	default:
		t.dropOrDoubt()
	}
	return false
}

// split says that copies confirmed the write differently and the primary did not say which is
// right.
func (t *Transaction) split(vote Vote) bool {
	for i := range t.voters {
		if m := t.voters[i].mark; m.committed && m.vote != vote {
			return true
		}
	}
	return false
}

func (t *Transaction) keep() {
	raise := t.pick(func(v *voter) bool { return v.mark.confirms(t.write.vote) })
	t.startRecord(Record{
		Outcome:      Kept,
		Raise:        raise,
		BelowMinimum: len(raise) < t.minimum,
		Verify:       t.split(t.write.vote) && !t.primary().mark.committed,
	})
}

// dropOrDoubt handles a write that nobody confirmed, or that its primary abandoned. Copies that
// are known not to have it stay; those that may have it do not. Without any such copy the primary
// stays.
func (t *Transaction) dropOrDoubt() {
	raise := t.pick(func(v *voter) bool { return !v.mark.touched() && !v.mark.dissented })
	outcome := Dropped
	if len(raise) == 0 {
		raise, outcome = []Voter{t.primary().name}, Doubtful
	}
	t.startRecord(Record{Outcome: outcome, Raise: raise, Verify: true})
}

// nothing ends a write that every copy that was told COMMIT has abandoned. A learner that may
// have it nevertheless is behind.
func (t *Transaction) nothing() {
	t.sum.Verify = true
	t.sum.Dropped++
	t.conclusion(func(*voter) bool { return true })
	t.write.state = writeNone
	for i := range t.voters {
		switch v := &t.voters[i]; {
		case v.learner && v.mark.touched():
			t.leave(v)
		case v.wait.kind == waitWrite:
			t.answer(v, Abort)
		}
	}
}

// pick returns the copies that pass, whether or not they are still open: what is on their disk
// does not change by that.
func (t *Transaction) pick(pass func(*voter) bool) []Voter {
	var names []Voter
	for i := range t.voters {
		if v := &t.voters[i]; v.counts() && pass(v) {
			names = append(names, v.name)
		}
	}
	return names
}

func (t *Transaction) anyTouched() bool {
	for i := range t.voters {
		if v := &t.voters[i]; !v.learner && v.mark.touched() {
			return true
		}
	}
	return false
}

func (t *Transaction) startRecord(r Record) {
	r.Write = t.write.number
	r.Primary = t.successor(r.Raise)
	t.write.record = r
	t.write.state = writeRecording
	t.ready.Record = &r
}

// successor is the primary if it is raised, else the first raised voter that is open, else the
// first.
func (t *Transaction) successor(raise []Voter) Voter {
	for _, name := range raise {
		if name == t.primary().name {
			return name
		}
	}
	for _, name := range raise {
		if t.voters[t.slots[name]].open() {
			return name
		}
	}
	return raise[0]
}
