package history_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"praefect/test/chaos/history"
)

// drawn is an operation with the moment at which it takes effect.
type drawn struct {
	history.Operation

	effect int
}

// draw draws what several clients do to a register at the same time.
func draw(t *rapid.T) []drawn {
	var all []drawn
	for i := range rapid.IntRange(1, 30).Draw(t, "operations") {
		start := rapid.IntRange(0, 100).Draw(t, "start")
		effect := start + rapid.IntRange(1, 20).Draw(t, "effect")
		end := effect + rapid.IntRange(1, 20).Draw(t, "end")
		d := drawn{effect: effect, Operation: history.Operation(read(start, end, ""))}
		d.Primary = rapid.Bool().Draw(t, "primary")
		if rapid.Bool().Draw(t, "write") {
			d.Action, d.Primary, d.Value = history.Write, false, fmt.Sprint("v", i)
			if rapid.IntRange(0, 4).Draw(t, "deletion") == 0 {
				d.Value = ""
			}
			if rapid.IntRange(0, 4).Draw(t, "doubt") == 0 {
				d.Result = history.Unknown
				d.effect = rapid.IntRange(start, 200).Draw(t, "late or never")
			}
		}
		all = append(all, d)
	}

	return all
}

// behave gives reads the values, and guarded writes the results, of a register that does one thing
// at a time.
func behave(t *rapid.T, all []drawn) []history.Operation {
	slices.SortStableFunc(all, func(a, b drawn) int { return a.effect - b.effect })
	value := ""
	var operations []history.Operation
	for _, d := range all {
		o := d.Operation
		switch {
		case o.Action == history.Read:
			o.Value = value
		case rapid.IntRange(0, 3).Draw(t, "guard") == 0:
			o.Guarded, o.Old = true, value
			value = o.Value
		default:
			value = o.Value
		}
		operations = append(operations, o)
	}

	return operations
}

// TestNothingIsFoundInCorrectHistories is what makes a finding mean something.
func TestNothingIsFoundInCorrectHistories(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		report := history.Check(behave(t, draw(t)), history.Config{})
		require.Empty(t, report.Undecided)
		require.Empty(t, report.Lost)
		require.Empty(t, report.Stale)
		require.Empty(t, report.Undone)
	})
}

// TestWhatIsGoneInTheEndIsFound changes the end of correct histories.
func TestWhatIsGoneInTheEndIsFound(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		operations := behave(t, draw(t))
		const first, after = -20, 300
		operations = append(operations,
			history.Operation(write(first, first+1, "first")),
			history.Operation(write(after, after+1, "last")),
			history.Operation(read(after+2, after+3, "first").final()))
		report := history.Check(operations, history.Config{Patience: time.Minute})
		require.Len(t, report.Lost, 1)
	})
}
