package repair

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"praefect/coordinator"
)

// guard returns a context that ends when the claim is lost, or a margin before it ends unrenewed,
// so that this process never writes to a replica that another may have claimed. The returned
// function ends the guard and waits for it.
func (r *repair) guard(ctx context.Context, claimed time.Time) (context.Context, func()) {
	guarded, cancel := context.WithCancelCause(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() { cancel(r.keep(guarded, claimed)) })
	return guarded, func() {
		cancel(nil)
		keeper.Wait()
	}
}

// keep renews the claim until the context ends or the claim cannot be kept.
func (r *repair) keep(ctx context.Context, renewed time.Time) error {
	ttl := r.config.Claim
	tick := time.NewTicker(ttl / claimRenewals)
	defer tick.Stop()
	for {
		safe := time.Until(renewed.Add(ttl - ttl/claimMargin))
		end := time.NewTimer(safe)
		select {
		case <-tick.C:
		case <-end.C:
			return fmt.Errorf("%w: it was not renewed in time", errClaimLost)
		case <-ctx.Done():
			end.Stop()
			return nil
		}
		end.Stop()
		now := time.Now()
		bounded, cancel := context.WithDeadline(ctx, renewed.Add(ttl-ttl/claimMargin))
		err := r.Store.RenewRepair(bounded, r.claim, ttl)
		cancel()
		switch {
		case err == nil:
			renewed = now
		case errors.Is(err, coordinator.ErrSuperseded):
			return fmt.Errorf("%w: %w", errClaimLost, err)
		default:
			r.log.Warn("claim of a repair is not renewed yet", zap.Inline(r.claim.Key),
				zap.Error(err))
		}
	}
}

// watch cancels a copy when one of its nodes stops answering: a call to a node that hangs would
// never end. The returned function ends the watch and waits for it.
func (r *repair) watch(ctx context.Context, job Job, cancel context.CancelCauseFunc) func() {
	watched, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() {
		tick := time.NewTicker(r.config.Poll)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-watched.Done():
				return
			}
			for _, storage := range []coordinator.Storage{job.Source, job.Target} {
				if !r.Health.Healthy(job.VirtualStorage, storage) {
					cancel(fmt.Errorf("%w: %q", errSick, storage))
					return
				}
			}
		}
	})
	return func() {
		stop()
		watcher.Wait()
	}
}
