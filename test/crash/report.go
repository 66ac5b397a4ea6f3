package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// report prints rows. Safe for concurrent use.
type report struct {
	out io.Writer

	mu     sync.Mutex // guards the fields below
	cases  int
	failed int
	err    error
}

// row is what came of a case.
type row struct {
	trial trial
	took  time.Duration
	// answer is what the client saw, settled how long the survivors needed.
	answer  string
	settled time.Duration
	err     error
	logs    string
}

func (r *report) add(one row) {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.cases++
	verdict := "ok"
	if one.err != nil {
		r.failed++
		verdict = "FAILED"
	}
	text := fmt.Sprintf("%-6s %-48s answer=%-20s settled=%.1fs took=%.1fs\n", verdict,
		one.trial, one.answer, one.settled.Seconds(), one.took.Seconds())
	if one.err != nil {
		reason := strings.ReplaceAll(one.err.Error(), "\n", "\n         ")
		text += fmt.Sprintf("       %s\n       logs: %s\n", reason, one.logs)
	}
	if _, err := io.WriteString(r.out, text); err != nil && r.err == nil {
		r.err = fmt.Errorf("print row: %w", err)
	}
}

// close prints the sum. The error says that a case failed, or that nothing could be printed.
func (r *report) close() error {
	if r.err != nil {
		return r.err
	}
	_, err := fmt.Fprintf(r.out, "crashmatrix: cases=%d failed=%d\n", r.cases, r.failed)
	if err != nil {
		return fmt.Errorf("print sum: %w", err)
	}
	if r.failed > 0 {
		return errFailed
	}

	return nil
}
