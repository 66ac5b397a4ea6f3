package relay

import (
	"context"
	"time"

	"praefect/transaction"
)

// stops are the reasons to stop watching before the end that is waited for. A nil channel is no
// reason.
type stops struct {
	timer  <-chan time.Time
	gone   <-chan struct{}
	broken <-chan struct{}
	failed <-chan error
}

// watch waits for an end and ejects nodes whose votes are overdue meanwhile. It returns nil when
// the end has come, and otherwise why it stopped before.
func (f *Fan) watch(end <-chan struct{}, stop stops) error {
	for {
		select {
		case <-end:
			return nil
		case <-stop.timer:
			return ErrGivenUp
		case <-stop.gone:
			return context.Cause(f.client.Context())
		case <-stop.broken:
			return ErrVotesBroken
		case err := <-stop.failed:
			return err
		case name := <-f.voting.Overdue():
			// Only the handler, which watches for the client too, can end the call for that.
			if f.overdue(name) && stop.gone != nil {
				return ErrPrimaryOverdue
			}
		}
	}
}

// overdue ejects the node that did not vote in time and tells whether it is the primary.
func (f *Fan) overdue(name transaction.Voter) bool {
	for i, b := range f.branches {
		if b.to.Name == name {
			f.eject(b, reasonVote)
			return i == 0
		}
	}
	return false
}

// drain waits until the nodes have ended the call. Those that do not in time are cancelled, but
// only much later if they may hold locks.
func (f *Fan) drain() {
	if f.expire() || f.overWithin(f.relay.config.DrainLocked) {
		return
	}
	for _, b := range f.branches {
		f.cancel(b)
	}
	<-f.over
}

// expire gives the nodes their time to end the call, once, and tells whether all did. Those that
// did not take no further part, and are cancelled unless they may hold locks.
func (f *Fan) expire() bool {
	if f.expired {
		return false
	}
	f.closeInputs()
	bound := f.relay.config.Drain
	if f.aborted {
		bound = f.relay.config.DrainAborted
	}
	if f.overWithin(bound) {
		return true
	}
	f.expired = true
	for _, b := range f.branches {
		f.eject(b, reasonDrain)
		if !f.voting.MayHoldLocks(b.to.Name) {
			f.cancel(b)
		}
	}
	return false
}

// closeInputs lets the nodes see the end of their input. What was sent to them in time they get,
// unless the call was aborted. The primary's input is closed by the upload, which ends with the
// client or with the primary. It closes all of them after a request that was here whole: nodes do
// not vote on everything, so none may take half of it for all.
func (f *Fan) closeInputs() {
	for _, b := range f.branches {
		switch {
		case b.queue == nil, f.call.Complete:
		case f.aborted:
			b.queue.cutOff()
		default:
			b.queue.close()
		}
	}
}

// overWithin waits until the nodes have ended the call and tells whether they did in time.
func (f *Fan) overWithin(bound time.Duration) bool {
	timer := time.NewTimer(bound)
	defer timer.Stop()
	return f.watch(f.over, stops{timer: timer.C}) == nil
}

// cancel cancels the call to a node that has not ended it.
func (f *Fan) cancel(b *branch) {
	if b.isOver() {
		return
	}
	f.relay.metrics.cancelled.Inc()
	b.cancel()
}
