package registry

import (
	"context"
	"time"

	"go.uber.org/zap"

	"praefect/transaction"
)

// turn is the wait for the repository's turn.
type turn struct {
	// cancel ends the wait under way, or is nil.
	cancel context.CancelCauseFunc
	// hurry ends it earlier, since a node holds locks.
	hurry *time.Timer
	// unwanted is true once nobody is interested in the result.
	unwanted bool
}

// takeTurn begins to wait for the turn, or shortens a wait under way; l.mu is held.
func (l *Live) takeTurn(r transaction.TurnRequest) {
	if l.turn.cancel == nil {
		l.waitTurn(r.LocksHeld, l.writer.TakeTurn)
		return
	}
	if r.LocksHeld && l.turn.hurry == nil {
		over := l.turn.cancel
		l.turn.hurry = time.AfterFunc(l.registry.config.TurnWaitLocked, func() {
			over(context.DeadlineExceeded)
		})
	}
}

// yieldTurn offers the turn to those that wait for it; l.mu is held. It says whether the
// transaction went on at once.
func (l *Live) yieldTurn() bool {
	if !l.writer.Contended() {
		l.tx.TurnTaken(nil)
		return true
	}
	l.waitTurn(false, func(ctx context.Context) ([]transaction.Voter, error) {
		l.writer.ReleaseTurn(ctx)
		return l.writer.TakeTurn(ctx)
	})
	return false
}

func (l *Live) waitTurn(
	locked bool, take func(context.Context) ([]transaction.Voter, error),
) {
	limit := l.registry.config.TurnWait
	if locked {
		limit = min(limit, l.registry.config.TurnWaitLocked)
	}
	bounded, end := l.bound(limit)
	ctx, cancel := context.WithCancelCause(bounded)
	l.turn = turn{cancel: cancel}
	l.work(func() {
		defer end()
		defer cancel(nil)
		begun := time.Now()
		lapsed, err := take(ctx)
		l.observer.Waited(begun, err)
		l.turnEnded(lapsed, err)
	})
}

// turnEnded reports how the wait for the turn has ended.
func (l *Live) turnEnded(lapsed []transaction.Voter, err error) {
	unwanted := false
	l.step(func() {
		unwanted = l.turn.unwanted
		if l.turn.hurry != nil {
			l.turn.hurry.Stop()
		}
		l.turn = turn{}
		switch {
		case unwanted:
		case err != nil:
			l.refused = err
			l.log.Info("turn refused", zap.Uint64("transaction_id", l.id), zap.Error(err))
			l.tx.TurnRefused()
		default:
			l.tx.TurnTaken(lapsed)
		}
	})
	if unwanted && err == nil {
		l.releaseTurn()
	}
}

// giveUpTurn gives the turn back, or stops waiting for it; l.mu is held.
func (l *Live) giveUpTurn() {
	if l.turn.cancel != nil {
		l.turn.unwanted = true
		l.turn.cancel(nil)
		return
	}
	l.work(l.releaseTurn)
}

func (l *Live) releaseTurn() {
	ctx, cancel := l.bound(l.registry.config.RecordTimeout)
	defer cancel()
	l.writer.ReleaseTurn(ctx)
}
