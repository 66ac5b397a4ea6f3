package membership

import (
	"context"

	"praefect/coordinator"
	"praefect/transaction/failpoint"
)

// lease is one state of an incarnation's right to act. It is not changed but replaced: by one that
// lasts longer while it holds, by one that is over when somebody finds that it does not.
type lease struct {
	incarnation coordinator.Incarnation
	until       Instant
	over        bool
	// end is told why when the incarnation ends; ended is closed by it.
	end   context.CancelCauseFunc
	ended <-chan struct{}
}

// Incarnation returns the present incarnation, which is 0 before the first, and whether its lease
// holds at this moment. Once it has said no it never says yes of the same incarnation. It takes no
// lock and costs one reading of the clock.
func (w *Worker) Incarnation() (coordinator.Incarnation, bool) {
	held, holds := w.present()
	return held.incarnation, holds
}

// present returns the lease and whether it holds.
func (w *Worker) present() (*lease, bool) {
	held := w.lease.Load()
	if held.over {
		return held, false
	}
	if w.config.Clock().before(held.until) || failpoint.Sabotaged(failpoint.LeaseNotChecked) {
		return held, true
	}
	if w.finish(held, errExpired) {
		return held, false
	}
	// Somebody was faster, with a renewal that is good or with the end.
	return w.present()
}

// finish ends the incarnation if nothing happened to its lease since that was looked at.
func (w *Worker) finish(held *lease, why error) bool {
	if !w.lease.CompareAndSwap(held, &lease{
		incarnation: held.incarnation, over: true, ended: held.ended,
	}) {
		return false
	}
	held.end(why)
	return true
}

// prolong lets the lease hold from the moment on when the renewal was sent, unless it ended before
// the answer was there.
func (w *Worker) prolong(sent Instant) bool {
	held, holds := w.present()
	if !holds {
		return false
	}
	longer := *held
	longer.until = sent.add(w.config.Lease)
	// It can only have been replaced by its end, since one goroutine prolongs.
	return w.lease.CompareAndSwap(held, &longer)
}

// giveUp ends the incarnation, whether or not the lease still holds.
func (w *Worker) giveUp(why error) {
	for {
		held := w.lease.Load()
		if held.over || w.finish(held, why) {
			return
		}
	}
}
