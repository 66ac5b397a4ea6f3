package main

import (
	"fmt"

	"praefect/test/simulate/world"
)

// failuresMax bounds the failing seeds that are told.
const failuresMax = 20

// tally is what several seeds have shown.
type tally struct {
	Seeds, Steps, Faults               int
	Lost, Stale, Torn, Diverged, Stuck int
	Undone                             int
	// Failures tell of failing seeds, First is the first of them.
	Failures []string
	First    uint64
}

func (t *tally) add(r world.Result) {
	t.Seeds++
	t.Steps += r.Steps
	t.Faults += r.Faults
	t.Lost += r.Lost()
	t.Stale += len(r.Report.Stale)
	t.Torn += len(r.Report.Torn)
	t.Undone += len(r.Report.Undone)
	t.Diverged += len(r.Diverged)
	t.Stuck += len(r.Stuck)
}

// merge adds what another worker has shown.
func (t *tally) merge(other tally) {
	t.Seeds += other.Seeds
	t.Steps += other.Steps
	t.Faults += other.Faults
	t.Lost += other.Lost
	t.Stale += other.Stale
	t.Torn += other.Torn
	t.Undone += other.Undone
	t.Diverged += other.Diverged
	t.Stuck += other.Stuck
	t.Failures = append(t.Failures, other.Failures...)
	if t.First == 0 || other.First != 0 && other.First < t.First {
		t.First = other.First
	}
}

func (t *tally) failed() bool { return t.Lost+t.Stale+t.Torn+t.Diverged+t.Stuck > 0 }

// String is the line that is printed in the end.
func (t tally) String() string {
	return fmt.Sprintf(
		"simulate: seeds=%d steps=%d faults=%d lost=%d stale=%d torn=%d diverged=%d stuck=%d",
		t.Seeds, t.Steps, t.Faults, t.Lost, t.Stale, t.Torn, t.Diverged, t.Stuck)
}
