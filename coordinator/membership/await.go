package membership

import (
	"context"
	"fmt"
	"time"

	"praefect/coordinator"
)

// AwaitAcknowledged waits until all other proxies that live have acknowledged the invalidation and
// all before. It returns coordinator.ErrLeaseLost if the lease does not hold, or is lost meanwhile,
// and an error that matches the context's if that ends. The store not answering is waited out.
func (w *Worker) AwaitAcknowledged(ctx context.Context, awaited coordinator.Sequence) error {
	held, holds := w.present()
	var last error
	ended := held.ended
	for polls := 0; holds; polls++ {
		select {
		case <-time.After(w.pollPause(polls)):
		case <-ended:
			// Of a worker that has stopped the lease goes on until its time is over.
			ended = nil
		case <-ctx.Done():
			return awaitError(awaited, context.Cause(ctx), last)
		}
		if !w.lives(held.incarnation) {
			break
		}
		var done bool
		if done, last = w.Store.Acknowledged(ctx, held.incarnation, awaited); done {
			return nil
		}
	}
	return awaitError(awaited, coordinator.ErrLeaseLost, last)
}

// lives says whether the incarnation has not ended.
func (w *Worker) lives(incarnation coordinator.Incarnation) bool {
	present, holds := w.Incarnation()
	return holds && present == incarnation
}

func awaitError(awaited coordinator.Sequence, why, last error) error {
	if last == nil {
		return fmt.Errorf("await acknowledgement of invalidation %d: %w", awaited, why)
	}
	return fmt.Errorf("await acknowledgement of invalidation %d: %w; last: %w", awaited, why, last)
}

// pollPause is half to one and a half times the pause that is due, so that writes do not ask in
// step.
func (w *Worker) pollPause(polls int) time.Duration {
	pause := w.config.Poll
	if polls >= pollsNear {
		pause *= pollFar
	}
	return w.random.Spread(pause)
}
