package world

import (
	"context"
	"errors"
	"sync"
	"time"

	"praefect/coordinator"
	"praefect/proxy/gitalypb"
	"praefect/transaction"
)

// Times of messages between proxies and nodes.
const (
	messageMin = 100 * time.Microsecond
	messageMax = 3 * time.Millisecond
	// messageSlow is how long one may take on a slow network.
	messageSlow = time.Second
	// brokenAfter is when an end finds out that the other is gone without a word.
	brokenAfter = 3 * time.Second
	// found is how long a proxy believes at most what is not so any more of a node's health.
	foundMin = 50 * time.Millisecond
	foundMax = 1500 * time.Millisecond
	// apart is how far things are drawn apart that would happen at once.
	apart = 100 * time.Microsecond
)

// link is the way between one proxy and one node.
type link struct {
	world *world
	proxy string
	node  *node

	mu sync.Mutex // guards the fields below
	// cut, lossy and slow count the faults.
	cut, lossy, slow int
	// up says that the node can be asked; the proxy finds that out at known.
	up    bool
	known time.Time
	// session is the present connection; what is lost breaks it.
	session *session
}

// refresh notes a change of what the proxy will find of the node.
func (l *link) refresh() {
	process := l.node.current()
	up := !process.dead() && process.frozen() == nil
	l.mu.Lock()
	defer l.mu.Unlock()
	if up = up && l.cut == 0; up != l.up {
		l.up = up
		l.known = time.Now().Add(
			l.world.chance.between(foundMin, foundMax, l.proxy, l.node.name, "health"))
	}
}

// healthy is what the proxy has found.
func (l *link) healthy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up != time.Now().Before(l.known)
}

// session is one connection, with all that is under way on it.
type session struct {
	over context.Context //nolint:containedctx // it is the end of a connection
	end  context.CancelFunc
}

func newSession() *session {
	over, end := context.WithCancel(context.Background())
	return &session{over, end}
}

// connected returns the present connection.
func (l *link) connected() *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == nil || l.session.over.Err() != nil {
		l.session = newSession()
	}
	return l.session
}

// carry brings one message from one end to the other. It fails when the context ends, or if the
// message is lost, after some time, and with it the connection.
func (l *link) carry(ctx context.Context, on *session, what string) error {
	l.mu.Lock()
	cut, lossy, slow := l.cut > 0, l.lossy > 0, l.slow > 0
	l.mu.Unlock()
	chance := l.world.chance
	if cut || lossy && chance.percent(lossPercent, l.proxy, l.node.name, what, "lost") {
		if err := pause(ctx, brokenAfter); err != nil {
			return err
		}
		on.end()
		return errNodeGone
	}
	most := messageMax
	if slow {
		most = messageSlow
	}
	err := pause(ctx, chance.between(messageMin, most, l.proxy, l.node.name, what))
	if err == nil && on.over.Err() != nil {
		return errNodeGone
	}
	return err
}

// call has a node do something, and returns when its answer is there. seen says that the answer is
// the node's own.
func (l *link) call(
	ctx context.Context, from *process, call request, do func(context.Context, visit) error,
) (seen bool, err error) {
	if err := from.gate(); err != nil {
		return false, err
	}
	on := l.connected()
	if err := l.carry(ctx, on, "call"); err != nil {
		return false, err
	}
	life := l.node.current()
	if life.dead() {
		return false, errNodeGone
	}
	err = l.serve(ctx, on, trip{from, life}, func(ctx context.Context) error {
		return do(ctx, visit{l.node, life, call})
	})
	switch {
	case errors.Is(err, errNodeGone):
		return false, l.broken(ctx)
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case life.gate() != nil:
		return false, l.broken(ctx)
	}
	if lost := l.carry(ctx, on, "answer"); lost != nil {
		return false, lost
	}
	if gone := from.gate(); gone != nil {
		return false, gone
	}
	return true, err
}

// trip is from where to where a call goes.
type trip struct{ from, to *process }

// serve has the node at work, and returns when it is done or nobody will hear of it.
func (l *link) serve(
	ctx context.Context, on *session, way trip, do func(context.Context) error,
) error {
	done := make(chan error, 1)
	l.world.work.Go(func() {
		there, cancel := l.detached(ctx, on, way)
		defer cancel()
		err := way.to.gate()
		if err == nil {
			err = do(there)
		}
		done <- err
	})
	select {
	case err := <-done:
		return err
	case <-way.to.alive.Done():
	case <-on.over.Done():
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return errNodeGone
}

// broken waits until a broken connection is noticed.
func (l *link) broken(ctx context.Context) error {
	// Whoever left does not wait; the answer is the same.
	_ = pause(ctx, l.world.chance.between(messageMin, messageSlow, l.proxy, l.node.name, "reset"))
	return errNodeGone
}

// detached is the context of a call at its node. Its end comes after that of the caller's, or of
// the caller itself, by as long as a message takes.
func (l *link) detached(
	ctx context.Context, on *session, way trip,
) (context.Context, context.CancelFunc) {
	there, cancel := context.WithCancel(context.Background())
	l.world.work.Go(func() {
		defer cancel()
		select {
		case <-ctx.Done():
		case <-on.over.Done():
		case <-way.from.alive.Done():
		case <-way.to.alive.Done():
			return
		case <-there.Done():
			return
		}
		// Over is over, whoever hears of it first.
		_ = pause(there, l.world.chance.between(
			messageMin, messageSlow, l.proxy, l.node.name, "cancellation"))
		// Of a dead process nothing is to be cancelled.
		_ = way.to.gate()
	})
	return there, cancel
}

// voteTo returns how a node's votes reach a transaction of a proxy. It calls told when the node is
// told to commit.
func (l *link) voteTo(to *proxy, id uint64, told func()) func(
	context.Context, transaction.Phase, transaction.Vote,
) (bool, error) {
	on := l.connected()
	return func(ctx context.Context, phase transaction.Phase, vote transaction.Vote) (bool, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(on.over, cancel)()
		if err := l.carry(ctx, on, "vote"); err != nil {
			return false, err
		}
		if err := to.process.gate(); err != nil {
			return false, err
		}
		l.world.step(to.process, "vote/arrived")
		answer, err := to.registry.Service(transaction.Voter(l.node.name)).VoteTransaction(
			ctx, &gitalypb.VoteTransactionRequest{
				TransactionId: id, Node: l.node.name, ReferenceUpdatesHash: vote[:],
				Phase: gitalypb.VoteTransactionRequest_Phase(phase),
			})
		commit := err == nil &&
			answer.GetState() == gitalypb.VoteTransactionResponse_COMMIT
		if commit && phase == transaction.Prepared {
			told()
		}
		// Several votes are decided at once, and go on one after the other.
		_ = pause(ctx, l.world.chance.between(0, apart, l.proxy, l.node.name, "decided"))
		l.world.note(l.node.name, voted(phase, commit), err)
		l.world.step(to.process, "vote/decided")
		// What is on its way arrives, though its sender may be gone or frozen since.
		if l.world.chance.percent(halfPercent, l.proxy, l.node.name, "unsent") {
			if gone := to.process.gate(); gone != nil {
				return false, gone
			}
		}
		if lost := l.carry(ctx, on, "decision"); lost != nil {
			return false, lost
		}
		return commit, err
	}
}

const halfPercent = 50

func voted(phase transaction.Phase, commit bool) string {
	decision := "ABORT"
	if commit {
		decision = "COMMIT"
	}
	return phase.String() + " told " + decision
}

// view is what one proxy finds of the nodes. It implements [coordinator.Health].
type view map[coordinator.Storage]*link

// Healthy implements [coordinator.Health].
func (v view) Healthy(_ coordinator.VirtualStorage, storage coordinator.Storage) bool {
	found, ok := v[storage]
	return ok && found.healthy()
}
