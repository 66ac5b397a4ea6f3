package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"praefect/transaction"
	"praefect/transaction/failpoint"
)

// Outcome says in one word what became of a write.
type Outcome uint8

const (
	// OutcomeNone says that surely nothing was changed.
	OutcomeNone Outcome = iota
	// OutcomeRecorded says that the write is on enough replicas and recorded.
	OutcomeRecorded
	// OutcomePartial says that of several writes some are recorded and the others are not there.
	OutcomePartial
	// OutcomeUnknown says that the write may be there or not, or may be lost again.
	OutcomeUnknown
)

// String is the value of the trailer that tells clients.
func (o Outcome) String() string {
	switch o {
	case OutcomeNone:
		return "none"
	case OutcomeRecorded:
		return "recorded"
	case OutcomePartial:
		return "partial"
	case OutcomeUnknown:
		return "unknown"
	}
	return "unknown"
}

// Result is how the call went on the nodes.
type Result struct {
	// Votes is the summary of the vote; zero if nobody could vote.
	Votes transaction.Summary
	// Refused is why the turn did not come, if it did not.
	Refused error
	// PrimaryOK says that the primary's call ended without an error.
	PrimaryOK bool
	// OK are the voters whose call ended without an error, the primary among them.
	OK []transaction.Voter
	// Idle says that the client asked for nothing that could change anything, or nothing was sent,
	// so that success without a vote changed nothing.
	Idle bool
	// Deletes says that the client may have asked to delete references, one by one and without
	// telling what they were, so that [transaction.Summary.Silent] counts.
	Deletes bool
	// Failures says how calls failed that have ended, Cause what the client is told that did not
	// come from the primary. Transaction is the identity of the vote. They are for the journal.
	Failures    map[transaction.Voter]error
	Cause       error
	Transaction uint64
	// Running are voters whose call has not ended, Lost those of whose call the end was not seen,
	// or who were given only half of it.
	Running, Lost []transaction.Voter
}

// Finish ends a write: it records what was changed without a vote, makes a created repository
// visible or has it removed, gives the turn back, and says what became of the write. It goes on
// when the context ends, within a bound. The error tells why a write that its primary answered
// with success must not be acknowledged; it matches [ErrOutcomeUnknown], [ErrCreationUndone], or
// what [Write.TakeTurn] returned when nothing was changed because the turn did not come.
func (w *Write) Finish(ctx context.Context, result Result) (Outcome, error) {
	defer w.leave(ctx)
	ended := false
	defer func() {
		if !ended { // Something panicked, and what is recorded may not be all.
			w.giveUp(ctx)
		}
	}()
	outcome, err := w.finish(ctx, result)
	ended = true
	return outcome, err
}

// finish is Finish, except for what has to be done however it ends.
func (w *Write) finish(ctx context.Context, result Result) (Outcome, error) {
	config := w.coordinator.config
	ctx, cancel := context.WithTimeout(
		context.WithoutCancel(ctx), config.TurnWait+config.RecordTimeout,
	)
	defer cancel()

	decision := w.decide(result)
	outcome, err := decision.outcome, decision.err
	if decision.raise != 0 {
		outcome, err = w.recordUnvoted(ctx, decision)
	}
	if w.plan.Creation {
		outcome, err = w.conclude(ctx, result, err)
	}
	if result.Votes.Unfinished || w.undecided() || decision.leave {
		w.giveUp(ctx)
	}
	w.compare(ctx, decision, result, err != nil)
	w.countBehind(result)
	w.hasten(ctx, result)
	w.publish(ctx)
	w.account(result, outcome, err)
	w.coordinator.metrics.writes.WithLabelValues(
		string(w.group.name), string(w.options.Kind), outcome.String(),
	).Inc()
	return outcome, err
}

// facts are what the decision at the end of a write depends on.
type facts struct {
	votes     transaction.Summary
	refused   error
	primaryOK bool
	// ok are the participants whose call ended without an error.
	ok, primary set
	// undecided says that nodes were told to commit a write of which there is no record. A creation
	// that is not recorded is undone instead.
	undecided bool
	// locksFirst says that the method takes its locks before it votes, if it votes at all,
	// alwaysVerify that it may have done something beside what it voted on.
	creation, neverWrites, locksFirst, alwaysVerify bool
	// silent says that it may have deleted a reference without a vote between others.
	silent bool
	// several says that the call may consist of several writes.
	several bool
	// unseen says that a node may still be at it, or that its end was not seen.
	unseen bool
}

// decision is what to do at the end of a write.
type decision struct {
	// raise, if not empty, is recorded as a write that nobody voted on.
	raise set
	// leave has recovery find out by evidence what the nodes did.
	leave bool
	// verify has the replicas compared; doubt says that none of them is known to be right.
	verify, doubt bool

	outcome Outcome
	err     error
}

// undecided says that nodes were told to commit, and nothing is recorded.
func (w *Write) undecided() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.window || w.failed != nil
}

func (w *Write) decide(result Result) decision {
	return decide(facts{
		votes: result.Votes, refused: result.Refused, primaryOK: result.PrimaryOK,
		ok:        w.group.voters(result.OK) & w.members,
		primary:   w.group.voters([]transaction.Voter{transaction.Voter(w.plan.Primary)}),
		undecided: w.undecided() && !w.plan.Creation,
		creation:  w.plan.Creation, neverWrites: w.options.NeverWrites || result.Idle,
		locksFirst:   w.options.Turn == transaction.GateHeld,
		alwaysVerify: w.options.Verify && !result.Idle && !w.plan.Creation,
		silent:       result.Votes.Silent && result.Deletes && !result.Idle && !w.plan.Creation,
		several:      w.options.Several,
		unseen:       len(result.Running)+len(result.Lost) > 0,
	})
}

// decide is the table of outcomes. Where there were votes they alone count; deletions without an
// old value do not vote, so success without a PREPARED vote is a write of all that succeeded,
// unless nothing was asked for.
func decide(f facts) decision {
	decided := f.decide()
	decided.doubt = decided.doubt || (f.alwaysVerify || f.silent) && !f.primaryOK
	return decided
}

func (f facts) decide() decision {
	votes, verify := f.votes, f.toCompare()
	switch {
	case f.unknown(), votes.BelowMinimum:
		return f.uncertain(verify)
	case f.undecided:
		return f.left(verify)
	case f.silent:
		return f.beside()
	case votes.Recorded > 0:
		return decision{verify: verify, outcome: f.recorded()}
	case f.unheard():
		return decision{verify: verify, outcome: OutcomeUnknown}
	case f.alwaysVerify:
		return f.beside()
	case votes.Busy:
		return decision{verify: verify, outcome: OutcomeNone, err: f.refusal()}
	case f.nothing():
		return decision{verify: verify, outcome: OutcomeNone}
	default:
		return f.unvoted(verify)
	}
}

// toCompare says that the replicas are to be compared whatever is decided.
func (f facts) toCompare() bool { return f.votes.Verify || f.alwaysVerify || f.silent }

// uncertain decides on a write whose end nobody knows, or that is on too few disks.
func (f facts) uncertain(verify bool) decision {
	err := ErrOutcomeUnknown
	if !f.unknown() {
		err = fmt.Errorf("%w: it reached too few copies to be safe", ErrOutcomeUnknown)
	}
	return decision{verify: verify, outcome: OutcomeUnknown, err: err}
}

// refusal is why the turn did not come, in words for clients.
func (f facts) refusal() error {
	for _, told := range []error{
		ErrBusy, ErrPrimaryChanged, ErrRepositoryNotFound, ErrLeaseLost, ErrMetadataUnavailable,
	} {
		if errors.Is(f.refused, told) {
			return f.refused
		}
	}
	if f.refused == nil {
		return ErrBusy
	}
	return fmt.Errorf("%w: %w", ErrBusy, f.refused)
}

// left decides on a call that recovery has to look after: its primary may have committed without
// being heard, or git may have given up silently. An error of the primary says enough to the
// client.
func (f facts) left(verify bool) decision {
	if !f.primaryOK {
		return decision{verify: verify, outcome: OutcomeUnknown}
	}
	return decision{verify: verify, outcome: OutcomeUnknown, err: fmt.Errorf(
		"%w: no node has confirmed it", ErrOutcomeUnknown,
	)}
}

// unheard says that the record stands against a write which the primary may have committed without
// being heard, and which may have been read until then.
func (f facts) unheard() bool { return f.votes.Dropped > 0 && !f.primaryOK }

// unknown says that a write was begun whose end nobody knows.
func (f facts) unknown() bool {
	return f.votes.Failed || f.votes.Unfinished || f.votes.Doubtful > 0
}

// nothing says that surely nothing was changed: votes that led to no write, a hook that refused, or
// a method that changes nothing by itself.
func (f facts) nothing() bool {
	return f.votes.Prepared || f.votes.Stopped || f.neverWrites
}

// recorded says what it means for the client that at least one write stands. Of several, others
// may not even have been tried.
func (f facts) recorded() Outcome {
	votes := f.votes
	missed := votes.LostRounds > 0 || votes.Dropped > 0 || votes.Busy || votes.Aborted ||
		f.several && !votes.Through
	if !f.primaryOK && missed {
		return OutcomePartial
	}
	return OutcomeRecorded
}

// unvoted decides on a call without PREPARED votes. When its primary failed, others that succeeded
// may have deleted something that the primary still has. Methods that take their locks first do
// what they do in one step, so those others stand for the write; with any other method nobody can
// tell.
func (f facts) unvoted(verify bool) decision {
	others := f.ok.minus(f.primary)
	switch {
	case f.primaryOK:
		return decision{raise: f.ok | f.primary, verify: true}
	case others == 0 && f.locksFirst && f.unseen && !f.creation:
		// It may be done by whoever was not heard. To compare is not enough: that keeps replicas
		// which do not answer.
		return decision{leave: true, outcome: OutcomeUnknown}
	case others == 0 || f.creation:
		return decision{verify: verify, outcome: OutcomeNone}
	case f.locksFirst:
		return decision{raise: others, verify: true}
	default:
		return decision{verify: true, doubt: true, outcome: OutcomeUnknown}
	}
}

// beside decides on a call that may have changed something beside what it voted on and what is
// recorded: success is a write, and otherwise nobody knows.
func (f facts) beside() decision {
	switch {
	case f.primaryOK || f.locksFirst && !f.votes.Prepared && !f.votes.Busy:
		decided := f.unvoted(true)
		if decided.raise == 0 {
			decided.outcome = OutcomeUnknown
		}
		return decided
	case f.votes.Recorded > 0:
		return decision{verify: true, outcome: OutcomePartial}
	case f.votes.Busy:
		return decision{verify: true, outcome: OutcomeUnknown, err: fmt.Errorf(
			"%w: %w", ErrOutcomeUnknown, f.refusal(),
		)}
	default:
		return decision{verify: true, outcome: OutcomeUnknown}
	}
}

// recordUnvoted records a write of which the calls' success is the only evidence.
func (w *Write) recordUnvoted(ctx context.Context, decision decision) (Outcome, error) {
	failpoint.Hit(failpoint.Ended)
	if err := w.holdTurn(ctx); err != nil {
		return OutcomeUnknown, fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	raise := decision.raise.minus(w.behind())
	if raise == 0 {
		return OutcomeUnknown, fmt.Errorf("%w: no replica is current that it reached",
			ErrOutcomeUnknown)
	}
	w.mu.Lock()
	primary := w.primary // An earlier record may have replaced the one of the plan.
	w.mu.Unlock()
	if !raise.has(w.group.place(primary)) {
		primary = w.group.storage(raise.lowest())
	}
	if err := w.record(ctx, verdictOn{
		raise: raise, primary: primary, verify: decision.verify,
	}); err != nil {
		return OutcomeUnknown, err
	}
	if raise.count() < w.plan.MinimumCopies {
		return OutcomeUnknown, fmt.Errorf("%w: it reached %d of %d copies",
			ErrOutcomeUnknown, raise.count(), w.plan.MinimumCopies)
	}
	return OutcomeRecorded, nil
}

// behind are the participants that were found not to be current.
func (w *Write) behind() set {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lapsed
}

// holdTurn takes the turn unless it is held.
func (w *Write) holdTurn(ctx context.Context) error {
	w.mu.Lock()
	held := w.turn != nil
	w.mu.Unlock()
	if held || w.plan.Creation {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, w.coordinator.config.TurnWait)
	defer cancel()
	_, err := w.TakeTurn(waiting)
	return err
}

// publish waits until no other process uses a route that this write has made wrong.
func (w *Write) publish(ctx context.Context) {
	w.mu.Lock()
	await := w.await
	w.mu.Unlock()
	w.coordinator.awaitAcknowledged(ctx, await)
}

// hasten lets the repair of replicas that were left behind, or the recovery of the write, begin as
// soon as nodes are known to do nothing any more.
func (w *Write) hasten(ctx context.Context, result Result) {
	running := w.group.voters(result.Running)
	w.ended(ctx, running|w.group.voters(result.Lost))
	w.mu.Lock()
	waiting := w.lagging.minus(running)
	w.mu.Unlock()
	w.repairSoon(ctx, waiting, w.group.voters(result.Lost))
}

// Drained says that the calls have ended that were still running at [Write.Finish]; lost are those
// of whose call the end was not seen.
func (w *Write) Drained(ctx context.Context, lost []transaction.Voter) {
	w.ended(ctx, w.group.voters(lost))
	w.mu.Lock()
	waiting := w.lagging
	w.mu.Unlock()
	w.repairSoon(ctx, waiting, w.group.voters(lost))
}

// ended tells recovery who surely does nothing any more for a write that it has to decide:
// everybody but those that are given.
func (w *Write) ended(ctx context.Context, doubtful set) {
	w.mu.Lock()
	failed := w.failed
	w.mu.Unlock()
	if failed != nil {
		w.coordinator.mark(ctx, failed.intent, w.group.storages(w.members.minus(doubtful)))
	}
}

func (w *Write) repairSoon(ctx context.Context, waiting, lost set) {
	if waiting == 0 {
		return
	}
	delays := map[Storage]time.Duration{}
	for _, storage := range w.group.storages(waiting) {
		delays[storage] = 0
	}
	for _, storage := range w.group.storages(waiting & lost) {
		delays[storage] = w.coordinator.config.Settle
	}
	err := w.coordinator.store.HastenRepair(ctx, w.plan.Repository, delays)
	if err != nil {
		w.coordinator.log.Warn("repair is not hastened", zap.Inline(w.plan.Key), zap.Error(err))
		return
	}
	w.coordinator.wakeRepair()
}
