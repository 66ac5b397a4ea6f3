package client

import (
	"context"
	"errors"
	"fmt"
)

// LookAgain reads everything once more from the primaries, when all is over, and through each
// connection ordinarily too.
func (w *World) LookAgain(ctx context.Context) error {
	last := newWorker(w, w.Workers+w.Readers)
	defer last.close()

	var errs []error
	for _, repo := range w.staying {
		for _, primary := range []bool{false, true} {
			errs = append(errs, last.list(ctx, repo.path, primary),
				last.head(ctx, repo.path, primary), last.hooks(ctx, repo.path, primary))
		}
	}
	seen := map[string]bool{}
	for _, passing := range w.Passing() {
		if !seen[passing.Path] {
			seen[passing.Path] = true
			errs = append(errs, last.existence(ctx, passing.Path))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("look at everything again: %w", err)
	}

	return nil
}
