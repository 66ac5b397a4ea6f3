package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"praefect/transaction/failpoint"
)

// sabotage plays with one rule after the other left out, each until it is noticed.
func sabotage(ctx context.Context, o options, out io.Writer) error {
	if !slices.Contains(failpoint.Tags(), "sabotage") {
		return fmt.Errorf("%w: built without -tags sabotage", errBroken)
	}
	o.first = true
	variants := failpoint.Variants()
	caught := 0
	for _, variant := range variants {
		found, err := spread(ctx, o, []string{"PRAEFECT_SABOTAGE=" + string(variant)})
		if err != nil {
			return err
		}
		noticed := fmt.Sprintf("NOT CAUGHT in %d seeds", found.Seeds)
		if found.failed() {
			caught++
			noticed = "caught by " + found.Failures[0]
		}
		if err := say(out, "%-26s %s", variant, noticed); err != nil {
			return err
		}
	}
	err := say(out, "sabotage: variants=%d caught=%d", len(variants), caught)
	if err == nil && caught < len(variants) {
		err = errBroken
	}
	return err
}
