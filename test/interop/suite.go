package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// trial is one case.
type trial struct {
	// name is what it is selected and reported by: group/case.
	name string
	// needs is what the nodes must have.
	needs needs
	// alone says that it must not run beside others: it breaks what they use.
	alone bool
	// limit bounds it, if caseMax is not enough.
	limit time.Duration
	run   func(t *take)
}

// needs is what a case needs of the nodes.
type needs struct {
	// gitaly, if set, says why the bundled node is not enough.
	gitaly string
	// git is the least version of the nodes' Git.
	git version
}

// trials lists all cases.
func trials() []trial {
	var all []trial
	for _, group := range [][]trial{
		creations(), transports(), references(), operations(), fetches(), pools(),
		contents(), mixtures(), crashes(),
	} {
		all = append(all, group...)
	}

	return all
}

// perform tries the cases, some at a time, and those that need the stage for themselves at the end.
func (s *stage) perform(ctx context.Context, selected []trial, workers int, report *report) {
	var group errgroup.Group
	group.SetLimit(workers)
	for _, one := range selected {
		if !one.alone {
			group.Go(func() error {
				report.add(s.try(ctx, one))

				return nil
			})
		}
	}
	_ = group.Wait() // What went wrong is in the report.
	report.add(s.try(ctx, untouched()))
	for _, one := range selected {
		if one.alone {
			report.add(s.try(ctx, one))
		}
	}
}

// try runs one case. A case that fails ends its goroutine, as a test does.
func (s *stage) try(ctx context.Context, one trial) row {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(one.limit, caseMax))
	defer cancel()
	begin := time.Now()
	t := &take{stage: s, context: ctx}
	if t.skipped = s.lacks(one.needs); t.skipped == "" {
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer t.finish()
			one.run(t)
		}()
		<-done
	}

	return row{
		name: one.name, took: time.Since(begin), skipped: t.skipped, failures: t.failures(),
		notes: strings.Join(t.notes, ", "),
	}
}

// row is what came of a case.
type row struct {
	name     string
	took     time.Duration
	skipped  string
	notes    string
	failures []string
}

// report prints rows. Safe for concurrent use.
type report struct {
	out io.Writer

	mu      sync.Mutex // guards the fields below
	cases   int
	failed  int
	skipped int
	logs    string
	err     error
}

func (r *report) add(one row) {
	r.mu.Lock()
	defer r.mu.Unlock()

	text := fmt.Sprintf("%-7s %-44s took=%.1fs %s", "ok", one.name, one.took.Seconds(), one.notes)
	text = strings.TrimSpace(text) + "\n"
	switch {
	case one.skipped != "":
		r.skipped++
		text = fmt.Sprintf("%-7s %-44s %s\n", "skipped", one.name, one.skipped)
	case len(one.failures) > 0:
		r.failed++
		text = strings.Replace(text, "ok     ", "FAILED ", 1)
		for _, failure := range one.failures {
			lines := strings.Split(strings.TrimSpace(failure), "\n")
			text += "        " + strings.Join(lines, "\n        ") + "\n"
		}
	}
	r.cases++
	if _, err := io.WriteString(r.out, text); err != nil && r.err == nil {
		r.err = fmt.Errorf("print row: %w", err)
	}
}

// close prints the sum. The error says that a case failed, or that nothing could be printed.
func (r *report) close() error {
	if r.err != nil {
		return r.err
	}
	if r.failed > 0 {
		if _, err := fmt.Fprintf(r.out, "logs: %s\n", r.logs); err != nil {
			return fmt.Errorf("print sum: %w", err)
		}
	}
	_, err := fmt.Fprintf(r.out, "interop: cases=%d failed=%d skipped=%d\n",
		max(r.cases, r.skipped), r.failed, r.skipped)
	if err != nil {
		return fmt.Errorf("print sum: %w", err)
	}
	if r.failed > 0 {
		return errFailed
	}

	return nil
}
