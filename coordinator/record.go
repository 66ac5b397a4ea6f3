package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"praefect/transaction"
	"praefect/transaction/failpoint"
)

const (
	// A record is repeated after 20 ms at first, since most errors are a connection that was
	// just closed, and each 500 ms in the end.
	recordPauseMin = 20 * time.Millisecond
	recordPauseMax = 500 * time.Millisecond
)

// Record writes the outcome of one write: one statement, a compare-and-set on intent, epoch and
// base. With it the turn is given back and, if any replica was left behind or replaced as primary,
// the cached route is gone before Record returns. If the store does not answer within the
// configured time, the metadata have moved on, or the lease is lost, it returns [ErrOutcomeUnknown]
// and the turn is left to recovery.
func (w *Write) Record(ctx context.Context, record transaction.Record) error {
	raise := w.group.voters(record.Raise)
	return w.record(ctx, verdictOn{
		number: record.Write, raise: raise, primary: Storage(record.Primary),
		verify: record.Verify,
	})
}

// verdictOn says what a record has to write.
type verdictOn struct {
	number  uint64
	raise   set
	primary Storage
	verify  bool
}

func (w *Write) record(ctx context.Context, verdict verdictOn) error {
	if failpoint.Sabotaged(failpoint.TurnSkipped) && !w.plan.Creation {
		if _, err := w.takeTurn(ctx); err != nil {
			return err
		}
	}
	outcome, err := w.outcome(verdict)
	if err != nil {
		return fmt.Errorf("record write of %s: %w", w.plan.Key, err)
	}
	begun := time.Now()
	recorded, err := w.commit(ctx, outcome)
	w.group.metrics.turns.record.Observe(time.Since(begun).Seconds())
	if err != nil {
		w.unrecorded(ctx, outcome, err)
		return fmt.Errorf("record write of %s: %w: %w",
			w.plan.Key, ErrOutcomeUnknown, err)
	}
	w.recorded(verdict, outcome, recorded)
	return nil
}

// outcome puts a verdict in the words of the store.
func (w *Write) outcome(verdict verdictOn) (WriteOutcome, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || (w.turn == nil && !w.plan.Creation) {
		return WriteOutcome{}, ErrNoTurn
	}
	outcome := WriteOutcome{
		Repository: w.plan.Repository, Epoch: w.epoch, Base: w.base,
		Raise: w.group.storages(verdict.raise), Verify: verdict.verify,
		Delays: map[Storage]time.Duration{},
	}
	if w.turn == nil {
		outcome.Write = w.coordinator.newWriteID()
	} else {
		outcome.Write = w.turn.intent.Write
	}
	if verdict.primary != w.primary {
		outcome.Primary = verdict.primary
	}
	for _, storage := range w.group.storages(w.members.minus(verdict.raise)) {
		outcome.Delays[storage] = w.coordinator.config.Drain
	}
	return outcome, nil
}

// commit records if this process may still do so.
func (w *Write) commit(ctx context.Context, outcome WriteOutcome) (Recorded, error) {
	if !w.Leased() {
		return Recorded{}, ErrLeaseLost
	}
	if failpoint.Sabotaged(failpoint.RecordSkipped) && !w.plan.Creation {
		_, err := w.coordinator.store.CloseTurn(ctx, outcome.Repository, outcome.Write)
		return Recorded{Generation: outcome.Base, Epoch: outcome.Epoch}, err
	}
	return w.coordinator.record(ctx, outcome)
}

// record repeats the statement while the store does not answer. It goes on without its caller,
// because nodes have committed already, and stops within the configured time.
func (c *Coordinator) record(ctx context.Context, outcome WriteOutcome) (Recorded, error) {
	var recorded Recorded
	err := c.repeat(ctx, func(ctx context.Context) error {
		var err error
		recorded, err = c.store.Record(ctx, outcome)
		return err
	})
	return recorded, err
}

// repeat calls something that may be done twice until the store has answered, within a bound.
func (c *Coordinator) repeat(ctx context.Context, call func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.config.RecordTimeout)
	defer cancel()
	// The last answer of the store says more than that the time is up.
	var last error
	_, err := backoff.Retry(bounded, func() (struct{}, error) {
		last = call(bounded)
		if last != nil && !errors.Is(last, ErrMetadataUnavailable) {
			return struct{}{}, backoff.Permanent(last)
		}
		return struct{}{}, last
	},
		backoff.WithBackOff(c.random.Backoff(recordPauseMin, recordPauseMax)),
		backoff.WithMaxElapsedTime(c.config.RecordTimeout),
		backoff.WithNotify(func(err error, _ time.Duration) {
			c.metrics.retries.Inc()
			c.log.Warn("metadata statement is repeated", zap.Error(err))
		}),
	)
	if err == nil {
		return nil
	}
	return last
}

// recorded takes over what the store has made of the repository.
func (w *Write) recorded(verdict verdictOn, outcome WriteOutcome, recorded Recorded) {
	if recorded.Shrunk || verdict.primary != w.plan.Primary {
		w.group.routes.invalidate(w.plan.Key.RelativePath)
	}
	if recorded.RepairDue {
		w.coordinator.wakeRepair()
	}

	w.coordinator.recent.add(Kept{
		Repository: outcome.Repository, Write: outcome.Write, Epoch: recorded.Epoch,
		Generation: recorded.Generation, Holders: outcome.Raise, Primary: verdict.primary,
	}, w.group.config.Storages)
	w.mu.Lock()
	w.base, w.epoch, w.primary = recorded.Generation, recorded.Epoch, verdict.primary
	w.last = recordedWrite{number: verdict.number, recorded: recorded}
	w.lagging |= w.members.minus(verdict.raise)
	w.await = max(w.await, recorded.Await)
	w.closeWindow()
	turn := w.drop()
	w.mu.Unlock()
	if turn != nil {
		w.coordinator.pass(turn, recorded.Wanted)
	}
}

// unrecorded leaves the write to recovery, which finds out on the nodes what has become of it.
// Until then nobody writes to the repository.
func (w *Write) unrecorded(ctx context.Context, outcome WriteOutcome, err error) {
	w.group.routes.invalidate(w.plan.Key.RelativePath)
	w.coordinator.log.Error("outcome of a write is not recorded", zap.Inline(w.plan.Key),
		zap.Int64("repository_id", int64(outcome.Repository)),
		zap.Int64("write_id", int64(outcome.Write)),
		zap.Int64("base", int64(outcome.Base)), zap.Error(err))
	w.giveUp(ctx)
}

// giveUp leaves the turn to recovery, if it is held.
func (w *Write) giveUp(ctx context.Context) {
	turn := w.putDown()
	if turn == nil {
		return
	}
	w.mu.Lock()
	w.failed = turn
	w.mu.Unlock()
	w.coordinator.leave(ctx, turn, nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closeWindow()
}
