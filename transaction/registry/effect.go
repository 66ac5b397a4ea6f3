package registry

import (
	"fmt"
	"time"

	"go.uber.org/zap"

	"praefect/transaction"
	"praefect/transaction/failpoint"
)

// step lets an event happen and does what follows from it.
func (l *Live) step(event func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	event()
	l.drain()
}

// drain carries out what the transaction asks for; l.mu is held. It repeats when an effect is an
// event by itself.
func (l *Live) drain() {
	for again := true; again; {
		r := l.tx.Ready()
		again = l.apply(r)
	}
	if !l.isSettled && l.tx.Settled() {
		l.isSettled = true
		close(l.settled)
	}
	l.checkIdle()
}

// apply carries out one Ready and says whether there may be more.
func (l *Live) apply(r transaction.Ready) bool {
	if r.Committing {
		l.grace.began = time.Time{}
		l.writer.Committing()
		failpoint.Hit(failpoint.PreparedWon)
	}
	l.answer(r)
	l.await(r.Awaited)
	if r.Record != nil {
		l.work(func() { l.record(*r.Record) })
	}
	for _, late := range r.Late {
		l.work(func() { l.confirm(late) })
	}
	switch {
	case r.ReleaseTurn:
		l.giveUpTurn()
	case r.TakeTurn != nil:
		l.takeTurn(*r.TakeTurn)
	}
	if r.Grace != nil {
		l.startGrace(*r.Grace)
	}
	return r.YieldTurn && l.yieldTurn()
}

// answer hands out decisions; l.mu is held. Nobody is let go to commit without a lease, because
// others may have compared the replicas already. It is looked at before and, since this process may
// have been frozen in between, after.
func (l *Live) answer(r transaction.Ready) {
	released := false
	for i, a := range r.Answers {
		if releases(a) && !l.writer.Leased() {
			l.log.Warn("vote is refused because the lease is lost",
				zap.Uint64("transaction_id", l.id), zap.String("node", string(a.Voter)))
			a.Decision = transaction.Abort
		}
		released = released || (releases(a) && a.Phase == transaction.Prepared)
		l.deliver(a)
		if r.Committing && i == 0 {
			failpoint.Hit(failpoint.FirstCommitTold)
		}
	}
	if released && !l.writer.Leased() {
		l.work(l.overran)
	}
}

// releases says whether an answer lets a node go on towards a commit, or to it.
func releases(a transaction.Answer) bool {
	return a.Decision == transaction.Commit && a.Phase != transaction.Committed
}

// overran has the replicas compared again that may still be changing.
func (l *Live) overran() {
	ctx, cancel := l.bound(l.registry.config.RecordTimeout)
	defer cancel()
	if err := l.writer.Overran(ctx); err != nil {
		l.log.Error("comparison of replicas is not scheduled",
			zap.Uint64("transaction_id", l.id), zap.Error(err))
	}
}

// work runs f in a goroutine that Finish waits for; l.mu is held.
func (l *Live) work(f func()) {
	l.working++
	go func() {
		f()
		l.step(func() { l.working-- })
	}()
}

// checkIdle tells Finish when no work is left; l.mu is held. Once all voters have ended only work
// can start work, so that idle is final.
func (l *Live) checkIdle() {
	if l.finishing && l.working == 0 {
		select {
		case <-l.idle:
		default:
			close(l.idle)
		}
	}
}

// record writes an outcome. Its context belongs to the transaction, not to the vote that made the
// outcome known: whoever that was may leave.
func (l *Live) record(r transaction.Record) {
	ctx, cancel := l.bound(l.registry.config.RecordTimeout)
	defer cancel()
	failpoint.Hit(failpoint.Confirmed)
	begun := time.Now()
	err := l.writer.Record(ctx, r)
	l.observer.Recorded(begun, err)
	failpoint.Hit(failpoint.Recorded)
	l.step(func() {
		if err != nil {
			l.registry.metrics.records.WithLabelValues("failed").Inc()
			l.fail(fmt.Errorf("%w: %w", ErrOutcomeUnknown, err))
			l.tx.RecordFailed(r.Write)
			return
		}
		l.registry.metrics.records.WithLabelValues(r.Outcome.String()).Inc()
		switch {
		case r.Outcome == transaction.Doubtful:
			l.fail(fmt.Errorf("%w: no voter that was told to commit was heard of again",
				ErrOutcomeUnknown))
		case r.BelowMinimum:
			l.fail(fmt.Errorf("%w: %d", ErrTooFewCopies, len(r.Raise)))
		}
		l.tx.Recorded(r.Write)
	})
}

// fail makes the call fail. The first reason stays; l.mu is held.
func (l *Live) fail(err error) {
	if l.err != nil {
		return
	}
	l.err = err
	close(l.broken)
}

// confirm tries to take a straggler back in.
func (l *Live) confirm(late transaction.Late) {
	ctx, cancel := l.bound(l.registry.config.ConfirmTimeout)
	defer cancel()
	taken, err := l.writer.Confirm(ctx, late.Write, late.Voter)
	result := "taken_back"
	switch {
	case err != nil:
		result = "failed"
		l.log.Warn("late confirmation not recorded, replica stays outdated",
			zap.Uint64("transaction_id", l.id), zap.String("node", string(late.Voter)),
			zap.Uint64("write", late.Write), zap.Error(err))
	case !taken:
		result = "too_late"
	}
	l.registry.metrics.late.WithLabelValues(result).Inc()
	l.step(func() { l.tx.LateResolved(late.Write, late.Voter, taken && err == nil) })
}

// observeLag learns how late s confirms; l.mu is held.
func (l *Live) observeLag(s *seat, now time.Time) {
	lag := time.Duration(0)
	if !l.grace.began.IsZero() {
		lag = now.Sub(l.grace.began)
	}
	l.registry.lags.observe(s.voter, lag)
}
