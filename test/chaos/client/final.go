package client

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// LookAgain reads everything once more when all is over, from the primaries and ordinarily, through
// so many connections. The balancer leads each to the next proxy, so that every one is asked what
// it knows by then.
func (w *World) LookAgain(ctx context.Context, connections int) error {
	last := newWorker(w, w.Workers+w.Readers)
	last.calls = math.MaxInt // All of it through the same proxy.

	var errs []error
	for range connections {
		errs = append(errs, last.lookAround(ctx))
		last.close()
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("look at everything again: %w", err)
	}

	return nil
}

// lookAround reads everything.
func (w *worker) lookAround(ctx context.Context) error {
	var errs []error
	for _, repo := range w.world.staying {
		for _, primary := range []bool{false, true} {
			errs = append(errs, w.list(ctx, repo.path, primary),
				w.head(ctx, repo.path, primary), w.hooks(ctx, repo.path, primary))
		}
	}
	seen := map[string]bool{}
	for _, passing := range w.world.Passing() {
		if !seen[passing.Path] {
			seen[passing.Path] = true
			errs = append(errs, w.existence(ctx, passing.Path))
		}
	}

	return errors.Join(errs...)
}
