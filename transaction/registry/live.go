package registry

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"praefect/transaction"
)

// Live is a transaction under way: the pure value, the votes that wait for it, and the work that
// it asks for. It is safe for concurrent use.
type Live struct {
	id       uint64
	registry *Registry
	log      *zap.Logger
	writer   Writer
	observer Observer
	gate     transaction.Gate
	// bound makes the context of a piece of background work.
	bound func(time.Duration) (context.Context, context.CancelFunc)

	broken  chan struct{}
	settled chan struct{}
	overdue chan transaction.Voter
	idle    chan struct{}

	mu sync.Mutex // guards the fields below and the state of the seats
	tx *transaction.Transaction
	// seats are the voters, the primary first. The slice itself never changes.
	seats []seat
	turn  turn
	grace grace
	// watch looks for voters that others wait for too long, or is nil.
	watch   *time.Timer
	working int // goroutines and timers of this transaction
	// finishing is true once Finish was called; removed once the registry has forgotten it.
	finishing, removed bool
	isSettled          bool
	err, refused       error
}

// seat is what the shell keeps of one voter.
type seat struct {
	voter transaction.Voter
	// call is the vote that waits, or nil.
	call *call
	// locks is true from the first vote that comes with locks until the RPC has ended.
	locks bool
	// awaited and since follow how long others have been waiting for the voter's next vote.
	awaited bool
	step    uint64
	since   time.Time
	ejected bool
}

func newLive(
	ctx context.Context, r *Registry, tx *transaction.Transaction, o Options,
) *Live {
	voting := o.Voting
	names := append([]transaction.Voter{voting.Primary}, voting.Secondaries...)
	names = append(names, voting.Learners...)
	l := &Live{
		registry: r,
		log:      r.log,
		writer:   o.Writer,
		observer: o.Observer,
		gate:     voting.Gate,
		bound: func(limit time.Duration) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, limit)
		},
		broken:  make(chan struct{}),
		settled: make(chan struct{}),
		overdue: make(chan transaction.Voter, len(names)), // each voter at most once
		idle:    make(chan struct{}),
		tx:      tx,
		seats:   make([]seat, len(names)),
	}
	if l.observer == nil {
		l.observer = unobserved{}
	}
	for i, name := range names {
		l.seats[i] = seat{voter: name, locks: voting.Gate == transaction.GateHeld}
	}
	return l
}

// ID is the number by which nodes name the transaction.
func (l *Live) ID() uint64 { return l.id }

// Ended reports that the RPC of a voter has ended on its node, with whatever status: what the
// node did is final.
func (l *Live) Ended(voter transaction.Voter) {
	l.step(func() {
		if s := l.seat(voter); s != nil {
			s.locks = false
		}
		l.tx.Ended(voter)
	})
}

// Lost reports that contact with a voter was lost or given up.
func (l *Live) Lost(voter transaction.Voter) {
	l.step(func() { l.tx.Lost(voter) })
}

// Abort gives the call up: rounds that are not decided are lost, votes in them are told ABORT. A
// write that nodes have begun to commit still goes to its record.
func (l *Live) Abort() { l.step(l.tx.Abort) }

// MayHoldLocks says that cancelling the voter's RPC now may leave locks on its disk.
func (l *Live) MayHoldLocks(voter transaction.Voter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.seat(voter)
	return s != nil && s.locks
}

// Overdue delivers the voters that others have waited for in vain. They are closed already; the
// relay ends their calls. The channel is never closed.
func (l *Live) Overdue() <-chan transaction.Voter { return l.overdue }

// Settled is closed once the primary has ended and no write is without outcome: the votes change
// nothing any more about what the client is told.
func (l *Live) Settled() <-chan struct{} { return l.settled }

// Broken is closed once the call must fail whatever the primary answers, see [Live.Err]. That
// happens before any voter is released from the write in question.
func (l *Live) Broken() <-chan struct{} { return l.broken }

// Err is nil until [Live.Broken] is closed. Then it wraps [ErrOutcomeUnknown], with the cause, or
// [ErrTooFewCopies].
func (l *Live) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Refused is the error with which the turn was refused, or nil.
func (l *Live) Refused() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused
}

// Summary is what is known of the transaction now.
func (l *Live) Summary() transaction.Summary {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tx.Summary()
}

// Finish ends the transaction. Voters that have not ended count as lost. It waits for records and
// confirmations under way, which are bounded by [Config], and makes the registry forget the
// transaction. If ctx ends first, the work goes on, the transaction stays known, and Finish
// returns the context's error; it may be called again.
func (l *Live) Finish(ctx context.Context) (transaction.Summary, error) {
	l.step(l.closeSeats)
	select {
	case <-l.idle:
	case <-ctx.Done():
		return l.Summary(), context.Cause(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.tx.Summary()
	if !l.removed {
		l.removed = true
		l.registry.remove(l.id)
		l.registry.metrics.finished(s)
	}
	return s, nil
}

// closeSeats marks the end; l.mu is held.
func (l *Live) closeSeats() {
	l.finishing = true
	for i := range l.seats {
		l.tx.Lost(l.seats[i].voter)
	}
	l.stopGrace()
	l.stopWatch()
}

// seat finds a voter. Transactions have a handful of them, so a map would cost more.
func (l *Live) seat(voter transaction.Voter) *seat {
	for i := range l.seats {
		if l.seats[i].voter == voter {
			return &l.seats[i]
		}
	}
	return nil
}
