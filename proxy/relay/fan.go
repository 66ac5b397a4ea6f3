package relay

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"praefect/transaction/failpoint"
)

// Fan is one call on several nodes. Its methods are for one goroutine, the call's handler, in the
// order Carry, Settle, Deliver or Withhold, Leave; Leave must be called.
type Fan struct {
	relay  *Relay
	client grpc.ServerStream
	call   Call
	voting Voting
	log    *zap.Logger
	answer answer

	// branches holds the calls to the nodes, the primary's first.
	branches []*branch
	running  atomic.Int32
	// over is closed when all branches are over.
	over chan struct{}
	// failed receives at most one error: that of receiving from the client.
	failed chan error
	// abort aborts the votes, once.
	abort func()
	// aborted tells that the nodes have less time to end the call, expired that they had it.
	aborted, expired bool
}

// Answer is how the primary's part of a call came to its end.
type Answer struct {
	// Err is the primary's status, nil when it is OK. It is nil also when Cause is not.
	Err error
	// Ended tells that the status is the node's own and was not made up for a lost connection.
	Ended bool
	// Cause is why the call had to end before the primary ended it: the cause of the client's
	// context, the error of receiving from the client, [ErrVotesBroken], [ErrPrimaryOverdue].
	Cause error
}

// Open starts a call on all destinations, the first of which is the primary, and returns without
// waiting for any of them. log gets a line for each node that takes no further part. The only
// error is [ErrDraining], after which nothing was started.
func (r *Relay) Open(
	client grpc.ServerStream, call Call, to []Destination, voting Voting, log *zap.Logger,
) (*Fan, error) {
	if r.draining.Load() >= int64(r.config.Draining) {
		call.Free()
		FreeAll(to)
		return nil, ErrDraining
	}
	fan := &Fan{
		relay: r, client: client, call: call, voting: voting, log: log,
		answer:   answer{client: client, streams: call.ServerStreams},
		branches: make([]*branch, len(to)),
		over:     make(chan struct{}),
		failed:   make(chan error, 1),
		abort:    sync.OnceFunc(voting.Abort),
	}
	fan.running.Store(int32(len(to))) //nolint:gosec // there are at most 64 storages
	for i := range to {
		fan.branches[i] = fan.newBranch(to[i], i == 0)
	}
	fan.start()
	return fan, nil
}

func (f *Fan) newBranch(to Destination, primary bool) *branch {
	b := &branch{to: to, opened: make(chan struct{}), over: make(chan struct{})}
	if f.call.ClientStreams && !primary {
		b.queue = newQueue(f.relay.config.DestinationBytes, &f.relay.total)
	}
	return b
}

// start starts the goroutines. The nodes' calls are detached from the client's: they end when
// their nodes end them or when [Fan.drain] cancels them.
func (f *Fan) start() {
	detached := context.WithoutCancel(f.client.Context())
	for i, b := range f.branches {
		ctx, cancel := context.WithCancel(detached)
		b.cancel = cancel
		f.relay.metrics.fromClient.Add(float64(b.to.First.Len()))
		f.relay.tasks.Go(func() {
			defer cancel()
			f.run(ctx, b, i == 0)
		})
	}
	if f.call.ClientStreams {
		f.relay.tasks.Go(f.upload)
	}
}

// run runs the call to one node from its start to its end.
func (f *Fan) run(ctx context.Context, b *branch, primary bool) {
	b.err = b.open(ctx, &f.call, f.relay.options)
	unopened := b.err != nil
	switch {
	case unopened && b.queue != nil:
		b.queue.discard()
	case unopened:
	case primary:
		b.err = f.lead(b)
	default:
		b.err = b.follow()
	}
	f.tell(b)
	if b.err != nil && !primary {
		f.report(b, unopened)
	}
	close(b.over)
	if f.running.Add(-1) == 0 {
		close(f.over)
	}
}

// tell lets whoever counts the votes know how a node's part has ended.
func (f *Fan) tell(b *branch) {
	switch {
	case b.seen():
		f.voting.Ended(b.to.Name)
	case !b.ejected.Load():
		f.voting.Lost(b.to.Name)
	}
}

// lead passes on what the primary answers, and returns its status.
func (f *Fan) lead(b *branch) error {
	var frame Frame
	defer frame.Free()
	for {
		err := b.node.RecvMsg(&frame)
		if !f.answer.begun {
			b.header, _ = b.node.Header()
		}
		if err != nil {
			b.trailer = trailerOf(b.node.Trailer())
			return statusOrNil(err)
		}
		if f.broken() {
			f.answer.silence()
		}
		f.relay.metrics.toClient.Add(float64(f.answer.pass(&frame, b.header)))
	}
}

// broken tells whether the call has to fail. Whoever counts the votes says so before a node is
// told to go on, so nothing that follows from that passes by unnoticed.
func (f *Fan) broken() bool {
	select {
	case <-f.voting.Broken():
		return true
	default:
		return false
	}
}

// report tells that a destination other than the primary failed, once: the client is not told.
func (f *Fan) report(b *branch, unopened bool) {
	if b.ejected.Swap(true) {
		return
	}
	why := reasonFailed
	if unopened {
		why = reasonUnopened
	}
	f.relay.metrics.ejections.WithLabelValues(string(b.to.Name), string(why)).Inc()
	f.log.Warn("call to secondary failed",
		zap.String("storage", string(b.to.Name)), zap.String("reason", string(why)),
		zap.Stringer("grpc.code", status.Code(b.err)), zap.Error(b.err))
}

// eject lets a destination take no further part. Its call goes on until the node ends it.
func (f *Fan) eject(b *branch, why reason) {
	if b.isOver() || b.ejected.Swap(true) {
		return
	}
	b.why.Store(why)
	f.voting.Lost(b.to.Name)
	if b.queue != nil {
		b.queue.cutOff()
	}
	f.relay.metrics.ejections.WithLabelValues(string(b.to.Name), string(why)).Inc()
	f.log.Warn("node ejected from call",
		zap.String("storage", string(b.to.Name)), zap.String("reason", string(why)))
}

// primary returns the call whose answer the client gets.
func (f *Fan) primary() *branch { return f.branches[0] }

// primaryNode waits until the primary's call is started, and returns nil if it could not be.
func (f *Fan) primaryNode() grpc.ClientStream {
	<-f.primary().opened
	return f.primary().node
}

// Carry returns when the primary has ended the call, or when the call has to end before that. If
// the client is gone, it returns only after the nodes have ended the call too, or had the time to.
func (f *Fan) Carry() Answer { return f.carry(f.primary().over) }

// CarryAll is [Fan.Carry] for a call whose answer has to wait for all nodes.
func (f *Fan) CarryAll() Answer { return f.carry(f.over) }

func (f *Fan) carry(end <-chan struct{}) Answer {
	cause := f.watch(end, stops{
		gone: f.client.Context().Done(), broken: f.voting.Broken(), failed: f.failed,
	})
	if cause == nil && f.broken() {
		cause = ErrVotesBroken
	}
	if cause != nil {
		f.abandon(cause)
	}
	answer := Answer{Cause: cause}
	if primary := f.primary(); primary.isOver() {
		answer.Err, answer.Ended = primary.err, primary.end().Seen
	}
	return answer
}

// Abandon ends a call for a handler that cannot go on: no node is told to commit any more, and the
// client is sent no further message. What is left to do is Leave.
func (f *Fan) Abandon() {
	f.aborted = true
	f.abort()
	f.answer.silence()
}

// abandon ends a call before the primary does.
func (f *Fan) abandon(cause error) {
	f.Abandon()
	if !errors.Is(cause, ErrVotesBroken) && !errors.Is(cause, ErrPrimaryOverdue) {
		// Nobody waits for an answer, so the outcome can be computed from what the nodes did. One
		// that hangs with its locks is not waited for: the turn may be held until then.
		f.expire()
	}
}

// Settle waits until all nodes have ended the call, at most for the given time. Votes go on
// meanwhile.
func (f *Fan) Settle(atMost time.Duration) {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	// Both ends are fine.
	_ = f.watch(f.over, stops{timer: timer.C})
}

// Deliver gives the client the rest of the primary's answer: what must not be sent before the
// outcome is known.
func (f *Fan) Deliver() error {
	f.client.SetTrailer(f.primary().trailer)
	sent, err := f.answer.finish(f.primary().header)
	f.relay.metrics.toClient.Add(float64(sent))
	return err
}

// Withhold gives the client header and trailer of the primary, as far as they are there, but no
// further message.
func (f *Fan) Withhold() error {
	f.answer.silence()
	if primary := f.primary(); primary.isOver() {
		f.client.SetTrailer(primary.trailer)
		_, err := f.answer.finish(primary.header)
		return err
	}
	return nil
}

// Ends returns how the call stands on the nodes, in the order of the destinations.
func (f *Fan) Ends() []End {
	ends := make([]End, len(f.branches))
	for i, b := range f.branches {
		ends[i] = b.end()
	}
	return ends
}

// Leave ends the handler's part. What the nodes have not ended yet goes on in the background, at
// most for the times of [Config], after which done is called; the votes have to be answered until
// then. When nothing is left, done is called at once.
func (f *Fan) Leave(done func()) {
	if f.running.Load() == 0 {
		done()
		return
	}
	f.relay.draining.Add(1)
	f.relay.metrics.draining.Inc()
	f.relay.tasks.Go(func() {
		defer f.relay.metrics.draining.Dec()
		defer f.relay.draining.Add(-1)
		failpoint.Hit(failpoint.Answered)
		f.drain()
		done()
	})
}
