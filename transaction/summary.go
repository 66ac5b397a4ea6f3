package transaction

// Summary is what is known of a transaction. It is final once every voter has ended and no record
// or late confirmation is under way.
type Summary struct {
	// Prepared says that somebody cast PREPARED. Without it the votes say nothing about what the
	// call has changed.
	Prepared bool
	// Recorded is the number of writes whose record says that they are kept.
	Recorded uint64
	// Dropped is the number of writes that were told COMMIT and are not kept, with or without
	// record.
	Dropped uint64
	// Doubtful is the number of writes of which nobody knows.
	Doubtful uint64
	// BelowMinimum says that a kept write was recorded with too few copies.
	BelowMinimum bool
	// Failed says that a record failed: its write may be there or not.
	Failed bool
	// Unfinished says that a write was told COMMIT and has no outcome yet.
	Unfinished bool
	// Rounds is the number of rounds that were decided.
	Rounds uint64
	// LostRounds is the number of rounds that were decided against everybody.
	LostRounds uint64
	// Busy says that the turn was not to be had.
	Busy bool
	// Stopped says that a hook on the primary refused the change.
	Stopped bool
	// Aborted says that the shell gave the transaction up.
	Aborted bool
	// Verify says that the replicas' digests are to be compared, for a reason that no record
	// told.
	Verify bool
	// Silent says that the primary went on after an update hook, or ended, without a vote on the
	// reference: it may have changed it without one, or be about to change all references at once.
	Silent bool
	// Through says that the primary came to what follows the last reference of a push: its hook
	// after all of them, or the end of its git.
	Through bool
	// Voters is the state of each voter, the primary first, then in the order of the
	// configuration.
	Voters []VoterSummary
}

// VoterSummary is the state of a voter.
type VoterSummary struct {
	Voter Voter
	// Learner says that it does not count.
	Learner bool
	// Current says that no record has passed over it and the turn did not find it outdated.
	Current bool
	// Running says that its RPC has not ended.
	Running bool
	// Evidence is its part in the last write.
	Evidence Evidence
	// Votes counts all its votes, PREPARING included.
	Votes uint64
}

// Of returns the state of a voter, and whether it is one.
func (s Summary) Of(voter Voter) (VoterSummary, bool) {
	for _, found := range s.Voters {
		if found.Voter == voter {
			return found, true
		}
	}
	return VoterSummary{}, false
}

// add counts a record.
func (s *Summary) add(r Record) {
	switch r.Outcome {
	case Kept:
		s.Recorded++
	case Dropped:
		s.Dropped++
	case Doubtful:
		s.Doubtful++
	}
	s.BelowMinimum = s.BelowMinimum || r.BelowMinimum
}

// Summary returns what is known now. The caller owns the result.
func (t *Transaction) Summary() Summary {
	s := t.sum
	s.Stopped, s.Aborted = t.stopped, t.aborted
	s.Rounds = t.rounds.frontier()
	s.Silent = s.Silent || t.updating
	s.Unfinished = t.write.inProgress()
	s.Voters = make([]VoterSummary, len(t.voters))
	for i := range t.voters {
		v := &t.voters[i]
		e := v.evidence
		if s.Unfinished {
			e = t.judgement(v)
		}
		s.Voters[i] = VoterSummary{
			Voter: v.name, Learner: v.learner, Current: v.current && !v.learner,
			Running: v.running, Evidence: e, Votes: v.steps,
		}
	}
	return s
}

// Settled says that the primary has ended and no write is without outcome: what the client is
// told does not change any more.
func (t *Transaction) Settled() bool {
	return !t.primary().running && (!t.write.inProgress() || t.failed)
}
