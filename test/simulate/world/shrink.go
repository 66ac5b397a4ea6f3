package world

import (
	"slices"
	"testing"

	"praefect/test/chaos/history"
)

// Finding is one violation that the history shows.
type Finding = history.Finding

// Shrink leaves out of a failing script whatever it also fails without: first faults, then calls.
func Shrink(t *testing.T, script Script) Script {
	t.Helper()
	fails := func(smaller Script) bool { return Run(t, smaller, false).Failed() }
	for again := true; again; {
		again = false
		script.Faults = without(script.Faults, &again, func(faults []Fault) bool {
			smaller := script
			smaller.Faults = faults
			return fails(smaller)
		})
		script.Calls = without(script.Calls, &again, func(calls []Call) bool {
			smaller := script
			smaller.Calls = calls
			return fails(smaller)
		})
	}
	return script
}

// without tries to do without each of a list, and says whether that went well once.
func without[T any](list []T, shrunk *bool, fails func([]T) bool) []T {
	for i := range slices.Backward(list) {
		if smaller := slices.Delete(slices.Clone(list), i, i+1); fails(smaller) {
			list, *shrunk = smaller, true
		}
	}
	return list
}
