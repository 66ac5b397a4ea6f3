package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"praefect/transaction/failpoint"
)

const (
	// turnPoll is how often the store is asked for a turn that another process holds, if no notice
	// tells that it is free. Each wait is up to half longer, so that processes do not ask in step.
	turnPoll = 20 * time.Millisecond
	// turnYield is how long this process leaves a turn to another one that waits for it: longer
	// than a notice and a statement take.
	turnYield = 30 * time.Millisecond
	// openTimeout bounds the statement that takes a turn, whoever waits for it.
	openTimeout = 5 * time.Second
	// closeTimeout bounds the wait for the end of a turn to reach the store; after that it is
	// tried beside the calls.
	closeTimeout = 2 * time.Second
)

// held is a turn: the first place in the line of this process, and an intent in the store that
// excludes all others.
type held struct {
	line   *line
	ticket *ticket
	intent Intent
}

// take waits in line and then in the store for the right to commit next on a repository, and
// returns the repository as it stands under the turn. When the context's deadline passes first it
// returns [ErrBusy]. After an error the turn is not held.
func (c *Coordinator) take(
	ctx context.Context, in *line, intent Intent,
) (*held, Repository, error) {
	begin := time.Now()
	ticket, err := c.lines.take(ctx, in)
	if err != nil {
		return nil, Repository{}, err
	}
	intent.Repository, intent.Write = in.id, c.newWriteID()
	c.lines.name(in, intent.Write)
	failpoint.Hit(failpoint.TurnTaken)
	repository, err := c.open(ctx, in, &intent)
	c.metrics.turnWait.Observe(time.Since(begin).Seconds())
	if err != nil {
		c.lines.release(in, ticket)
		return nil, Repository{}, err
	}
	failpoint.Hit(failpoint.IntentDurable)
	turn := &held{line: in, ticket: ticket, intent: intent}
	if ctx.Err() != nil {
		c.close(ctx, turn)
		return nil, Repository{}, gaveUp(ctx)
	}
	return turn, repository, nil
}

// open makes the intent durable as soon as no other is there.
func (c *Coordinator) open(
	ctx context.Context, in *line, intent *Intent,
) (Repository, error) {
	if err := c.leftovers.end(ctx, in.id); err != nil {
		return Repository{}, err
	}
	if pause := c.lines.yielding(in); pause > 0 {
		if err := wait(ctx, nil, pause); err != nil {
			return Repository{}, err
		}
	}
	for ctx.Err() == nil {
		freed := c.lines.awaitFree(in)
		repository, err := c.tryOpen(ctx, intent)
		switch {
		case errors.Is(err, ErrMetadataUnavailable):
			// It may be there all the same. If a statement that was given up is carried out after
			// the one that is sent now, the sweep finds it.
			c.leftovers.add(leftover{repository: in.id, write: intent.Write})
			return Repository{}, err
		case !errors.Is(err, ErrTurnTaken):
			return repository, err
		}
		more := time.Duration(c.random.IntN(int(turnPoll / 2)))
		if err := wait(ctx, freed, turnPoll+more); err != nil {
			return Repository{}, err
		}
	}
	return Repository{}, gaveUp(ctx)
}

// tryOpen does not give the statement up when its caller loses interest: then nobody would know
// whether the intent is there. Once it is, a turn that nobody wants any more is given back.
func (c *Coordinator) tryOpen(ctx context.Context, intent *Intent) (Repository, error) {
	incarnation, leased := c.lease.Incarnation()
	if !leased {
		return Repository{}, ErrLeaseLost
	}
	intent.Incarnation = incarnation
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), openTimeout)
	defer cancel()
	return c.store.OpenTurn(bounded, *intent)
}

// wait returns when the turn may be free, or after the pause. A deadline that passes is [ErrBusy].
func wait(ctx context.Context, freed <-chan struct{}, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-freed:
		return nil
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return gaveUp(ctx)
	}
}

// gaveUp says why a turn did not come in time.
func gaveUp(ctx context.Context) error {
	return fmt.Errorf("wait for the turn of another process: %w", overdue(ctx))
}

// overdue is [ErrBusy] when the time for a wait is over, otherwise why it was given up.
func overdue(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, context.DeadlineExceeded) {
		return ErrBusy
	}
	return cause
}

// close ends a turn under which nothing was committed that is not recorded.
func (c *Coordinator) close(ctx context.Context, turn *held) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	wanted, err := c.store.CloseTurn(bounded, turn.intent.Repository, turn.intent.Write)
	if err != nil {
		c.log.Warn("turn is left open until the database answers", zap.Error(err),
			zap.Int64("repository_id", int64(turn.intent.Repository)))
		c.leftovers.add(leftover{
			repository: turn.intent.Repository, write: turn.intent.Write,
		})
	}
	c.pass(turn, wanted)
}

// leave hands a turn over to recovery: something may be committed under it that could not be
// recorded.
func (c *Coordinator) leave(ctx context.Context, turn *held, ended []Storage) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	c.mark(bounded, turn.intent, ended)
	c.pass(turn, false)
}

// mark may be repeated when more participants have ended.
func (c *Coordinator) mark(ctx context.Context, intent Intent, ended []Storage) {
	err := c.store.MarkTurn(ctx, intent.Repository, intent.Write, ended)
	if err != nil {
		c.log.Warn("turn is left to recovery when the database answers", zap.Error(err),
			zap.Int64("repository_id", int64(intent.Repository)))
		c.leftovers.add(leftover{
			repository: intent.Repository, write: intent.Write, mark: true, ended: ended,
		})
	}
	wake(c.turnsLeft)
}

// pass lets the next in line have the turn, those of other processes first if they wait.
func (c *Coordinator) pass(turn *held, wanted bool) {
	if wanted {
		c.lines.yield(turn.line, turnYield)
	}
	c.lines.release(turn.line, turn.ticket)
}

// newWriteID is never zero, since zero means that a repository was never written to.
func (c *Coordinator) newWriteID() WriteID { return WriteID(c.random.ID()) }
