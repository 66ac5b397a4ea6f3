package transaction

// Evidence is what is known of a voter's part in one write.
type Evidence uint8

// The kinds of evidence.
const (
	// Untouched voters were never told COMMIT for PREPARED.
	Untouched Evidence = iota
	// Confirmed voters have the write on disk.
	Confirmed
	// Uncertain voters were told COMMIT and then nothing more was heard of them.
	Uncertain
	// Abandoned voters were told COMMIT and did not go on, as the primary did.
	Abandoned
	// Dissented voters voted differently, or did not go on while the primary did.
	Dissented
)

// String returns the evidence in lower case.
func (e Evidence) String() string {
	switch e {
	case Untouched:
		return "untouched"
	case Confirmed:
		return "confirmed"
	case Uncertain:
		return "uncertain"
	case Abandoned:
		return "abandoned"
	case Dissented:
		return "dissented"
	}
	return "unknown"
}

// judgement is the evidence on v in the write in progress.
func (t *Transaction) judgement(v *voter) Evidence {
	m, w := v.mark, &t.write
	switch {
	case m.dissented:
		return Dissented
	case !m.told:
		return Untouched
	case m.committed:
		return either(w.valued && m.vote != w.vote, Dissented, Confirmed)
	case m.abandoned:
		return either(w.valued && !w.dropped, Dissented, Abandoned)
	}
	return Uncertain
}

func either(condition bool, yes, no Evidence) Evidence {
	if condition {
		return yes
	}
	return no
}

// conclusion keeps the evidence of the write that ends now. A voter that cast COMMITTED while its
// write was being recorded without it is not confirmed yet.
func (t *Transaction) conclusion(raised func(*voter) bool) {
	for i := range t.voters {
		v := &t.voters[i]
		v.evidence = t.judgement(v)
		if v.evidence == Confirmed && !raised(v) && !v.learner &&
			t.write.record.Outcome == Kept {
			v.evidence = Uncertain
		}
	}
}
