package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// settles bounds the wait until all nodes have ended a call.
	settles = 10 * time.Second
	tick    = 50 * time.Millisecond
)

// take is one case being tried. It is to a case what *testing.T is to a test.
type take struct {
	stage   *stage
	context context.Context //nolint:containedctx // A take lives as long as its case.
	skipped string

	mu     sync.Mutex // guards the fields below
	failed []string
	notes  []string
	undo   []func()
}

// Errorf implements require.TestingT.
func (t *take) Errorf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = append(t.failed, fmt.Sprintf(format, args...))
}

// note adds a figure to the row of the case.
func (t *take) note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

// FailNow implements require.TestingT.
func (t *take) FailNow() { runtime.Goexit() }

// Skip ends a case that cannot be tried.
func (t *take) Skip(reason string) {
	t.skipped = reason
	runtime.Goexit()
}

// Cleanup has something done at the end of the case.
func (t *take) Cleanup(undo func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.undo = append(t.undo, undo)
}

// finish does what Cleanup asked for, the latest first.
func (t *take) finish() {
	for {
		t.mu.Lock()
		last := len(t.undo) - 1
		var undo func()
		if last >= 0 {
			undo, t.undo = t.undo[last], t.undo[:last]
		}
		t.mu.Unlock()
		if undo == nil {
			return
		}
		undo()
	}
}

func (t *take) failures() []string {
	t.mu.Lock()
	defer t.mu.Unlock()

	return t.failed
}

// tempDir makes a directory that is removed with the case.
func (t *take) tempDir() string {
	dir, err := os.MkdirTemp(t.stage.dir, "case-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })

	return dir
}

// eventually repeats a look until it finds nothing wrong.
func (t *take) eventually(limit time.Duration, look func() error) {
	ctx, cancel := context.WithTimeout(t.context, limit)
	defer cancel()
	for {
		err := look()
		if err == nil {
			return
		}
		select {
		case <-time.After(tick):
		case <-ctx.Done():
			require.NoError(t, err, "still after %s", limit)
		}
	}
}
