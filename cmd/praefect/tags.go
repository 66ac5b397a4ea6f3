package main

import (
	"fmt"
	"io"

	"go.uber.org/zap"

	"praefect/transaction/failpoint"
)

// listVariants prints what a sabotaged build can leave out, one name a line.
func listVariants(stdout io.Writer) int {
	for _, variant := range failpoint.Variants() {
		if _, err := fmt.Fprintln(stdout, variant); err != nil {
			return exitFailure
		}
	}

	return 0
}

// confessTags says that this program is one for tests, if it is. The error tells of an environment
// that asks for something unknown.
func confessTags(log *zap.Logger) error {
	if tags := failpoint.Tags(); len(tags) > 0 {
		log.Warn("THIS PROGRAM IS BUILT FOR TESTS AND MUST NOT SERVE ANYBODY'S DATA",
			zap.Strings("build_tags", tags))
	}
	if err := failpoint.Check(); err != nil {
		return fmt.Errorf("read what tests ask for: %w", err)
	}

	return nil
}
