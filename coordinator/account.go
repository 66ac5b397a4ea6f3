package coordinator

import (
	"errors"
	"time"

	"praefect/transaction"
)

// Caller says for the journal which call a write is.
type Caller struct{ Method, Correlation string }

// ended is what is known of a write when it is over.
type ended struct {
	result  Result
	outcome Outcome
	failure error

	primary           Storage
	recorded          Recorded
	lagging, doubtful set
}

// account tells the journal what became of the write.
func (w *Write) account(result Result, outcome Outcome, failure error) {
	end := w.closing(result, outcome, failure)
	if end.nothing() {
		return
	}
	entry := Entry{
		At: time.Now(), Event: EventWrite, Repository: w.plan.Repository, Key: w.plan.Key,
		Details: EntryDetails{
			Kind: string(w.options.Kind), Method: w.options.Caller.Method,
			Correlation: w.options.Caller.Correlation, Transaction: result.Transaction,
			Outcome: outcome.String(), Writes: result.Votes.Recorded,
			Generation: end.recorded.Generation, Primary: end.primary,
			Cause: Clip(end.cause()),
		},
	}
	if end.primary != w.plan.Primary {
		entry.Details.Before = w.plan.Primary
	}
	entry.Notable = outcome == OutcomeUnknown || outcome == OutcomePartial ||
		end.primary != w.plan.Primary || result.Votes.LostRounds > 0 || end.lagging != 0 ||
		end.recorded.Generation > 0 && w.missing != 0
	entry.Details.Replicas = w.parts(end)
	w.coordinator.journal.Note(entry)
}

// closing gathers what is known.
func (w *Write) closing(result Result, outcome Outcome, failure error) ended {
	w.mu.Lock()
	defer w.mu.Unlock()
	end := ended{
		result: result, outcome: outcome, failure: failure, primary: w.primary,
		recorded: w.last.recorded, lagging: w.lagging,
	}
	if w.failed != nil {
		end.doubtful = w.members
	}
	return end
}

// nothing says that there is nothing to tell: a call that changed nothing, as it should.
func (e ended) nothing() bool {
	return e.outcome == OutcomeNone && e.failure == nil && e.result.PrimaryOK &&
		!e.result.Votes.Prepared && e.lagging == 0
}

// cause says why the write did not just go well.
func (e ended) cause() string {
	votes := e.result.Votes
	switch {
	case e.failure != nil:
		return e.failure.Error()
	case votes.Stopped:
		return "a hook refused the change"
	case votes.LostRounds > 0 && votes.Recorded == 0:
		return "the nodes did not agree on the change, so nobody has made it"
	case e.result.Cause != nil:
		return e.result.Cause.Error()
	case !e.result.PrimaryOK:
		return "the primary did not succeed"
	default:
		return ""
	}
}

// parts says what became of every replica that is meant to have the repository.
func (w *Write) parts(end ended) []EntryReplica {
	all := make([]EntryReplica, 0, len(w.group.config.Storages))
	for _, storage := range w.group.storages(w.members) {
		all = append(all, w.part(storage, end))
	}
	recorded := end.recorded.Generation > 0
	for _, storage := range w.group.storages(w.missing) {
		part := EntryReplica{
			Storage: storage, Role: "left out", Became: BecameUnchanged,
			Reason: "its node was not healthy when the write began",
		}
		if recorded {
			part.Became = BecameOutdated
		}
		all = append(all, part)
	}
	for _, storage := range w.group.storages(w.outdated) {
		all = append(all, EntryReplica{
			Storage: storage, Role: "left out", Became: BecameOutdated,
			Reason: "it was outdated before this write",
		})
	}
	return all
}

// part says what a participant has done, and what became of it.
func (w *Write) part(storage Storage, end ended) EntryReplica {
	vote, _ := end.result.Votes.Of(transaction.Voter(storage))
	part := EntryReplica{
		Storage: storage, Role: w.role(storage, vote.Learner), Became: BecameUnchanged,
	}
	if vote.Votes > 0 {
		part.Votes, part.Evidence = vote.Votes, vote.Evidence.String()
	}
	place := w.group.place(storage)
	switch {
	case end.doubtful.has(place):
		part.Became = BecameDoubtful
		part.Reason = "recovery compares the replicas and decides"
	case end.lagging.has(place):
		part.Became = BecameOutdated
		part.Reason = end.reason(transaction.Voter(storage), vote)
	case end.undone(w.plan):
		part.Became = BecameRemoved
	case end.recorded.Generation > 0:
		part.Became = BecameCurrent
	}
	if part.Became != BecameCurrent && part.Reason == "" {
		part.Reason = end.failed(transaction.Voter(storage))
	}
	return part
}

// undone says that what was created is removed again.
func (e ended) undone(plan Plan) bool {
	return plan.Creation && e.outcome == OutcomeNone || errors.Is(e.failure, ErrCreationUndone)
}

// reason says why a participant was left behind, in words for somebody who was woken up.
func (e ended) reason(storage transaction.Voter, vote transaction.VoterSummary) string {
	what := "its node did not take part in what was committed"
	switch {
	case !e.result.Votes.Prepared:
		what = "nobody votes on this change, and the call on its node did not end well in time"
	case vote.Learner:
		what = "it was still being repaired"
	case vote.Evidence == transaction.Confirmed:
		what = "its node confirmed only after the outcome was recorded"
	case vote.Evidence == transaction.Uncertain:
		what = "its node agreed, was told to commit, and did not confirm in time"
	case vote.Evidence == transaction.Abandoned:
		what = "Git on its node gave up without a word after it had agreed"
	case vote.Evidence == transaction.Dissented:
		what = "its node voted for something else than the primary"
	case vote.Votes == 0:
		what = "its node never voted"
	}
	if failed := e.failed(storage); failed != "" {
		return what + "; " + failed
	}
	return what
}

// failed says how the call on a node failed, if it did.
func (e ended) failed(storage transaction.Voter) string {
	if err, ok := e.result.Failures[storage]; ok {
		return Clip("its call failed: " + err.Error())
	}
	return ""
}

// noteLate tells the journal that a replica was taken back in.
func (w *Write) noteLate(late LateConfirmation) {
	w.coordinator.journal.Note(Entry{
		At: time.Now(), Event: EventConfirmation, Repository: late.Repository, Key: w.plan.Key,
		Notable: true,
		Details: EntryDetails{
			Kind: string(w.options.Kind), Method: w.options.Caller.Method,
			Correlation: w.options.Caller.Correlation, Generation: late.Generation,
			Replicas: []EntryReplica{{
				Storage: late.Storage, Became: BecameCurrent,
				Reason: "it confirmed after the record, and needs no repair",
			}},
		},
	})
}

// noteElection tells the journal of a new primary.
func (c *Coordinator) noteElection(before, after Repository) {
	c.journal.Note(Entry{
		At: time.Now(), Event: EventElection, Repository: after.ID, Key: after.Key, Notable: true,
		Details: EntryDetails{
			Generation: after.Generation, Primary: after.Primary, Before: before.Primary,
			Cause: "the primary before was not healthy or not current",
		},
	})
}

// noteAccepted tells the journal that an operator has chosen one replica.
func (c *Coordinator) noteAccepted(before, after Repository) {
	entry := Entry{
		At: time.Now(), Event: EventOperator, Repository: after.ID, Key: after.Key, Notable: true,
		Details: EntryDetails{
			Generation: after.Generation, Primary: after.Primary,
			Cause: "an operator accepted data loss: one replica counts",
		},
	}
	if before.Primary != after.Primary {
		entry.Details.Before = before.Primary
	}
	for _, replica := range after.Replicas {
		part := EntryReplica{Storage: replica.Storage, Became: BecameCurrent}
		if !after.Current(replica.Storage) {
			part.Became, part.Reason = BecameOutdated, "an operator chose another replica"
		}
		entry.Details.Replicas = append(entry.Details.Replicas, part)
	}
	c.journal.Note(entry)
}

// role says as what a participant took part.
func (w *Write) role(storage Storage, learner bool) string {
	switch {
	case storage == w.plan.Primary:
		return "primary"
	case learner:
		return "learner"
	default:
		return "secondary"
	}
}
