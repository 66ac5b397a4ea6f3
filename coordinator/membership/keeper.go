package membership

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"praefect/coordinator"
	"praefect/transaction/failpoint"
)

// keeper is the loop that takes and keeps leases. Its fields belong to one goroutine.
type keeper struct {
	*Worker
	Local
	tail  *tail
	pause backoff.BackOff
	// timeline is that of the last renewal, of this incarnation or an earlier one.
	timeline string
	// former are earlier incarnations and attempts that may still live in the store.
	former []coordinator.Incarnation
	// replaces says that what was left under the name of this process is to be ended.
	replaces bool

	// The rest is that of the present incarnation.
	incarnation coordinator.Incarnation
	// applied is the last invalidation that is applied, with all before.
	applied coordinator.Sequence
	begun   time.Time
	// failing says that the last statement failed, which is logged once.
	failing bool
}

func newKeeper(worker *Worker, local Local) *keeper {
	return &keeper{
		Worker: worker, Local: local, tail: newTail(),
		pause:    worker.random.Backoff(pauseMin, pauseMax),
		replaces: !worker.config.Successor,
	}
}

// enlist takes a lease, for as long as it takes. The context that it returns ends with the
// incarnation. It says false when the given one ended before.
func (k *keeper) enlist(ctx context.Context) (context.Context, bool) {
	k.failing = false
	for ctx.Err() == nil {
		alive, err := k.tryEnlist(ctx)
		if err == nil {
			return alive, true
		}
		k.report(ctx, "lease is not taken", err)
		wait(ctx, k.pause.NextBackOff())
	}
	return nil, false
}

// tryEnlist begins an incarnation. The first renewal comes before the lease holds: it tells which
// timeline the incarnation is on, and what the other proxies find of the storages.
func (k *keeper) tryEnlist(ctx context.Context) (context.Context, error) {
	// An attempt that was given up may still arrive in the store, so its number is not used again.
	if k.incarnation != 0 {
		k.former = append(k.former[max(0, len(k.former)-formerMax+1):], k.incarnation)
	}
	k.incarnation = coordinator.Incarnation(k.random.ID())
	call, cancel := context.WithTimeout(ctx, k.config.timeout())
	defer cancel()
	applied, err := k.Store.Enlist(call, coordinator.Enlistment{
		Incarnation: k.incarnation, Name: k.config.Name, TTL: k.config.ttl(),
		Replaces: k.replaces, Former: k.former,
	})
	if err != nil {
		return nil, fmt.Errorf("enlist: %w", err)
	}
	k.applied, k.former, k.replaces = applied, nil, false
	sent := k.config.Clock()
	// Which timeline it is, is still to be learnt.
	membership, err := k.sendRenewal(ctx, k.config.timeout(), "")
	if err != nil {
		return nil, fmt.Errorf("renew for the first time: %w", err)
	}
	k.tail.compare(k.timeline, membership.Timeline)
	k.timeline = membership.Timeline

	// Loads that are under way may be older than the number from which on invalidations come.
	k.Routes.Forget()
	k.apply(membership)
	alive, end := context.WithCancelCause(ctx)
	if !k.take(alive, sent, end) {
		end(errExpired)
		return nil, errExpired
	}
	if k.acknowledge(alive, membership) {
		wake(k.news)
	}
	return alive, nil
}

// take lets the lease of the new incarnation hold.
func (k *keeper) take(alive context.Context, sent Instant, end context.CancelCauseFunc) bool {
	until := sent.add(k.config.Lease)
	if !k.config.Clock().before(until) {
		return false
	}
	k.lease.Store(&lease{
		incarnation: k.incarnation, until: until, end: end, ended: alive.Done(),
	})
	k.begun, k.failing = time.Now(), false
	k.metrics.incarnations.Inc()
	k.log.Info("lease taken", k.field(), zap.String("name", k.config.Name))
	k.once.Do(func() { close(k.enlisted) })
	return true
}

// keep renews the lease until it is lost or the context ends.
func (k *keeper) keep(alive context.Context) {
	tick := time.NewTicker(k.config.period())
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-k.news:
		case <-alive.Done():
			return
		}
		// What a renewal brings may not be all.
		for k.renew(alive) {
			continue
		}
	}
}

// renew prolongs the lease and applies what it learns; it says whether there may be more. A lease
// that has run out ends here at the latest.
func (k *keeper) renew(alive context.Context) bool {
	held, holds := k.present()
	if !holds {
		return false
	}
	sent := k.config.Clock()
	// An answer after the end would be too late.
	timeout := min(k.config.timeout(), held.until.Monotonic-sent.Monotonic)
	if failpoint.Sabotaged(failpoint.LeaseNotChecked) {
		timeout = k.config.timeout()
	}
	membership, err := k.sendRenewal(alive, timeout, k.timeline)
	switch {
	case errors.Is(err, coordinator.ErrTimelineChanged):
		// Who applied what, and what was cached, may be of statements that are lost.
		k.count(resultRefused)
		k.giveUp(errTimeline)
	case errors.Is(err, coordinator.ErrLeaseLost):
		k.count(resultRefused)
		k.refused()
	case err != nil:
		k.count(resultFailed)
		k.report(alive, "lease is not renewed", err)
	default:
		return k.renewed(alive, sent, membership)
	}
	return false
}

// renewed takes over a good answer: first what others have changed, since whoever waits for this
// process to hear of it may count on the end of the lease that held before. If that may not be all,
// the next renewal prolongs.
func (k *keeper) renewed(
	alive context.Context, sent Instant, membership coordinator.Membership,
) bool {
	k.apply(membership)
	if len(membership.Invalidations) >= pageFull {
		return k.acknowledge(alive, membership)
	}
	if !k.prolong(sent) {
		k.count(resultLate)
		return false
	}
	k.count(resultRenewed)
	k.failing = false
	return k.acknowledge(alive, membership)
}

// refused ends an incarnation that has ended for the store.
func (k *keeper) refused() {
	if _, holds := k.Incarnation(); holds {
		k.tail.suspect()
	}
	k.giveUp(errRefused)
}

// sendRenewal takes over at once what the others find, since without a lease it is not used.
func (k *keeper) sendRenewal(
	ctx context.Context, timeout time.Duration, timeline string,
) (coordinator.Membership, error) {
	begun := time.Now()
	defer func() { k.metrics.latency.Observe(time.Since(begun).Seconds()) }()
	call, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	membership, err := k.Store.Renew(call, coordinator.Renewal{
		Incarnation: k.incarnation, TTL: k.config.ttl(),
		Timeline: timeline, Applied: k.applied, Healthy: k.findings(),
	})
	if err == nil {
		k.opinion.Store(newOpinion(k.incarnation, membership.Reports))
	}
	return membership, err
}

// apply drops the routes that others have changed.
func (k *keeper) apply(membership coordinator.Membership) {
	for _, invalidation := range membership.Invalidations {
		k.Routes.Invalidate(invalidation.Key)
		k.applied = invalidation.Sequence
		k.metrics.applied.Inc()
	}
}

// acknowledge tells what was applied, and says whether there may be more.
func (k *keeper) acknowledge(alive context.Context, membership coordinator.Membership) bool {
	if len(membership.Invalidations) == 0 {
		return false
	}
	call, cancel := context.WithTimeout(alive, k.config.timeout())
	defer cancel()
	err := k.Store.Acknowledge(call, coordinator.Acknowledgement{
		Incarnation: k.incarnation, Timeline: k.timeline, Applied: k.applied,
	})
	// If this fails, the next renewal says the same.
	if err != nil {
		k.report(alive, "applied invalidations are not acknowledged", err)
	}
	return true
}

// review tells why an incarnation has ended, and keeps the next from following too soon.
func (k *keeper) review(ctx, alive context.Context) {
	if ctx.Err() != nil {
		return
	}
	k.log.Warn("lease lost", k.field(), zap.NamedError("reason", context.Cause(alive)))
	if time.Since(k.begun) >= k.config.Lease {
		k.pause.Reset()
		return
	}
	wait(ctx, k.pause.NextBackOff())
}

// resign ends the incarnation here and then for others, who need not wait for it to run out.
func (k *keeper) resign(ctx context.Context) {
	k.giveUp(errResigned)
	if k.incarnation == 0 {
		return
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.config.Resign)
	defer cancel()
	err := k.Store.Resign(last, k.incarnation)
	if err != nil && !errors.Is(err, coordinator.ErrLeaseLost) {
		k.log.Warn("lease is left to run out", k.field(), zap.Error(err))
		return
	}
	k.log.Info("lease given back", k.field())
}

// report logs the first of several failures in a row.
func (k *keeper) report(ctx context.Context, message string, err error) {
	if k.failing || ctx.Err() != nil {
		return
	}
	k.failing = true
	k.log.Warn(message, k.field(), zap.Error(err))
}

func (k *keeper) count(result string) { k.metrics.renewals.WithLabelValues(result).Inc() }

func (k *keeper) field() zap.Field { return zap.Int64("incarnation", int64(k.incarnation)) }

// wait returns after the pause or when the context ends.
func wait(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
