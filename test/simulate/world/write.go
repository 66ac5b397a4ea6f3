package world

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"praefect/coordinator"
	"praefect/transaction"
	"praefect/transaction/registry"
)

var (
	errPrimaryLate = errors.New("primary did not vote in time")
	errVotes       = errors.New("votes are broken")
)

// branch is a call to one node.
type branch struct {
	storage coordinator.Storage
	cancel  context.CancelFunc
	over    chan struct{}
	// err and seen are valid once over is closed.
	err     error
	seen    bool
	ejected atomic.Bool
	// told is the turn in which the node was last told to commit.
	told int
}

func (b *branch) isOver() bool {
	select {
	case <-b.over:
		return true
	default:
		return false
	}
}

// run is one write under way, as package proxy carries it: the order of what it asks of the
// coordinator and the registry is the same.
type run struct {
	*proxy

	write    *coordinator.Write
	live     *registry.Live
	branches []*branch
	left     atomic.Int32
	over     chan struct{}
	aborted  bool
	origin   *origin
}

// begin starts the vote, and the call on all participants.
func (p *proxy) begin(
	ctx context.Context, write *coordinator.Write, gate transaction.Gate, ask request,
) (*run, error) {
	plan := write.Plan()
	r := &run{
		proxy: p, write: write, over: make(chan struct{}),
		origin: originOf(ctx, plan.Repository),
	}
	live, err := p.registry.Begin(ctx, registry.Options{
		Voting: transaction.Config{
			Primary: transaction.Voter(plan.Primary), Secondaries: voters(plan.Secondaries),
			MinimumCopies: plan.MinimumCopies, Gate: gate,
		},
		Writer: traced{write, r.origin},
	})
	if err != nil {
		return nil, err
	}
	r.live = live
	ask.path = plan.ReplicaPath
	storages := append([]coordinator.Storage{plan.Primary}, plan.Secondaries...)
	r.left.Store(int32(len(storages))) //nolint:gosec // a handful
	for _, storage := range storages {
		r.branches = append(r.branches, &branch{storage: storage, over: make(chan struct{})})
	}
	for _, b := range r.branches {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		b.cancel = cancel
		p.world.work.Go(func() {
			defer cancel()
			r.follow(ctx, b, ask)
		})
	}
	return r, nil
}

// follow runs the call to one node from its start to its end.
func (r *run) follow(ctx context.Context, b *branch, ask request) {
	link := r.links[b.storage]
	store := r.world.database.store
	told := func() { b.told = store.told(r.origin, b.storage) }
	ask.vote = link.voteTo(r.proxy, r.live.ID(), told)
	ask.applied = func() { store.applied(r.origin.repository, b.told, b.storage) }
	b.seen, b.err = link.call(ctx, r.process, ask, func(ctx context.Context, at visit) error {
		return at.run(ctx)
	})
	switch {
	case b.seen:
		r.live.Ended(transaction.Voter(b.storage))
	case !b.ejected.Load():
		r.live.Lost(transaction.Voter(b.storage))
	}
	close(b.over)
	if r.left.Add(-1) == 0 {
		close(r.over)
	}
}

// carry brings the write to its end and says what the client is told.
func (r *run) carry(ctx context.Context) (coordinator.Outcome, error) {
	cause := r.watch(r.branches[0].over, ctx.Done(), r.live.Broken(), 0)
	if cause != nil {
		r.aborted = true
		r.live.Abort()
		if errors.Is(cause, errGone) {
			r.drain()
		}
	}
	result := r.result(r.settle(cause))
	outcome, err := r.write.Finish(r.origin.in(ctx), result)
	if err == nil {
		err = r.live.Err()
	}
	if err == nil && !result.PrimaryOK {
		err = errors.Join(errAborted, r.failure())
	}
	r.leave(ctx, len(result.Running) > 0)
	return outcome, err
}

func (r *run) failure() error {
	if r.branches[0].isOver() {
		return r.branches[0].err
	}
	return nil
}

// watch waits for an end, ejects nodes whose votes are overdue meanwhile, and says why it stopped
// before.
func (r *run) watch(
	end, gone, broken <-chan struct{}, atMost time.Duration,
) error {
	var late <-chan time.Time
	if atMost > 0 {
		timer := time.NewTimer(atMost)
		defer timer.Stop()
		late = timer.C
	}
	for {
		select {
		case <-end:
			return nil
		case <-late:
			return errPrimaryLate
		case <-gone:
			return errGone
		case <-broken:
			return errVotes
		case name := <-r.live.Overdue():
			if r.eject(name) && gone != nil {
				return errPrimaryLate
			}
		}
	}
}

// eject says whether the voter is the primary.
func (r *run) eject(name transaction.Voter) bool {
	for i, b := range r.branches {
		if transaction.Voter(b.storage) == name {
			if !b.isOver() && !b.ejected.Swap(true) {
				r.live.Lost(name)
			}
			return i == 0
		}
	}
	return false
}

// settle waits until the votes do not change any more what the client is told.
func (r *run) settle(cause error) transaction.Summary {
	if !errors.Is(cause, errVotes) {
		timer := time.NewTimer(settleFor)
		defer timer.Stop()
		select {
		case <-r.live.Settled():
		case <-r.live.Broken():
		case <-timer.C:
			r.world.fault("votes did not settle")
		}
	}
	if votes := r.live.Summary(); votes.Prepared || votes.Failed {
		return votes
	}
	// Both ends are fine.
	_ = r.watch(r.over, nil, nil, graceFor)
	return r.live.Summary()
}

func (r *run) result(votes transaction.Summary) coordinator.Result {
	result := coordinator.Result{Votes: votes}
	for i, b := range r.branches {
		name := transaction.Voter(b.storage)
		switch {
		case !b.isOver():
			result.Running = append(result.Running, name)
		case !b.seen:
			result.Lost = append(result.Lost, name)
		case b.err == nil:
			result.OK = append(result.OK, name)
			result.PrimaryOK = result.PrimaryOK || i == 0
		}
	}
	return result
}

// leave lets the nodes go on that have not ended the call.
func (r *run) leave(ctx context.Context, running bool) {
	r.world.work.Go(func() {
		r.drain()
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleFor)
		defer cancel()
		if _, err := r.live.Finish(bounded); err != nil {
			r.world.fault("vote did not end")
		}
		if !running {
			return
		}
		var lost []transaction.Voter
		for _, b := range r.branches {
			if !b.seen {
				lost = append(lost, transaction.Voter(b.storage))
			}
		}
		r.write.Drained(bounded, lost)
	})
}

// drain waits until the nodes have ended the call. Those that may hold locks are given more time.
func (r *run) drain() {
	bound := drainFor
	if r.aborted {
		bound = drainAborted
	}
	if r.watch(r.over, nil, nil, bound) == nil {
		return
	}
	for _, b := range r.branches {
		r.eject(transaction.Voter(b.storage))
		if !r.live.MayHoldLocks(transaction.Voter(b.storage)) {
			b.cancel()
		}
	}
	if r.watch(r.over, nil, nil, drainLocked) == nil {
		return
	}
	for _, b := range r.branches {
		b.cancel()
	}
	<-r.over
}

func voters(storages []coordinator.Storage) []transaction.Voter {
	all := make([]transaction.Voter, len(storages))
	for i, storage := range storages {
		all[i] = transaction.Voter(storage)
	}
	return all
}
