package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// Recorder collects the operations of concurrent clients. It may be used concurrently.
type Recorder struct {
	start time.Time

	mu         sync.Mutex // guards the fields below
	operations []Operation
	calls      int64
}

// NewRecorder begins a history.
func NewRecorder() *Recorder { return &Recorder{start: time.Now()} }

// Now is the time since the begin of the history.
func (r *Recorder) Now() time.Duration { return time.Since(r.start) }

// Call returns a number for a call, from 1.
func (r *Recorder) Call() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++

	return r.calls
}

// Add records operations that have ended.
func (r *Recorder) Add(operations ...Operation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.operations = append(r.operations, operations...)
}

// Operations returns what was recorded so far.
func (r *Recorder) Operations() []Operation {
	r.mu.Lock()
	defer r.mu.Unlock()

	return slices.Clone(r.operations)
}

// Save writes the history to a file, one operation a line.
func (r *Recorder) Save(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("save history: %w", err)
	}

	buffer := bufio.NewWriter(file)
	encoder := json.NewEncoder(buffer)
	for _, operation := range r.Operations() {
		if err := encoder.Encode(operation); err != nil {
			return errors.Join(fmt.Errorf("save history: %w", err), file.Close())
		}
	}
	if err := buffer.Flush(); err != nil {
		return errors.Join(fmt.Errorf("save history: %w", err), file.Close())
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("save history: %w", err)
	}

	return nil
}
