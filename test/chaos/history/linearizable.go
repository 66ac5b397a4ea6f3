package history

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"
	"golang.org/x/sync/errgroup"
)

// linearizable checks writes and reads of primaries, register by register. Registers that are
// known to be broken are left out.
func linearizable(registers map[Key][]Operation, broken map[Key]bool, config Config) Report {
	keys := slices.DeleteFunc(sortedKeys(registers), func(key Key) bool { return broken[key] })
	reports := make([]Report, len(keys))

	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	for i, key := range keys {
		group.Go(func() error {
			reports[i] = checkRegister(key, registers[key], config)

			return nil
		})
	}
	// The functions return no errors.
	_ = group.Wait()

	var all Report
	for _, report := range reports {
		all.add(report)
	}

	return all
}

// checkRegister tries the strict rules first, then with writes that are undone, and if that does
// not help either, whether it is only the end that does not fit.
func checkRegister(key Key, register []Operation, config Config) Report {
	relevant := relevant(register)
	finding := Finding{Key: key, Evidence: relevant}

	switch porcupine.CheckOperationsTimeout(strict(), events(relevant), config.Patience) {
	case porcupine.Ok:
		return Report{}
	case porcupine.Unknown:
		finding.Text = "no order found in time"

		return Report{Undecided: []Finding{finding}}
	case porcupine.Illegal:
	}

	if undone, ok := explainUndone(key, relevant, config); ok {
		return Report{Undone: undone}
	}

	unfinished := slices.DeleteFunc(slices.Clone(relevant),
		func(o Operation) bool { return o.Final })
	_, ok := explainUndone(key, unfinished, config)
	if ok && len(unfinished) < len(relevant) {
		finding.Text = "what is there in the end fits no order of the writes"

		return Report{Lost: []Finding{finding}}
	}
	finding.Text = "the reads of primaries fit no order of the writes"

	return Report{Stale: []Finding{finding}}
}

// relevant keeps what counts for primaries: acknowledged writes, reads of primaries, and those
// unknown writes whose value was seen by somebody, be it by the guard of a write that is kept.
func relevant(register []Operation) []Operation {
	r := relevance{register: register, kept: make([]bool, len(register)), seen: map[string]bool{}}
	for r.more() {
		continue // What is kept can make something else count.
	}

	var relevant []Operation
	for i, o := range register {
		if r.kept[i] {
			relevant = append(relevant, o)
		}
	}

	return relevant
}

// relevance are the operations that count, as far as is known, and the values that were seen.
type relevance struct {
	register []Operation
	kept     []bool
	seen     map[string]bool
}

// more looks for further operations that count, and tells whether there were any.
func (r *relevance) more() bool {
	found := false
	for i, o := range r.register {
		doubtful := o.Action == Write && o.Result == Unknown && r.seen[o.Value]
		if r.kept[i] || !certain(o) && !doubtful {
			continue
		}
		r.kept[i], found = true, true
		if o.Action == Read {
			r.seen[o.Value] = true
		} else if o.Guarded {
			r.seen[o.Old] = true
		}
	}

	return found
}

// certain tells whether an operation surely happened on a primary.
func certain(o Operation) bool {
	return o.Result == Acknowledged && (o.Action == Write || o.Primary)
}

// input is one operation as the models take it; undo is the disappearance of an unknown write.
type input struct {
	operation Operation
	undo      bool
}

// events turns operations into what the checker takes. Unknown writes may take effect until the
// end of time.
func events(operations []Operation) []porcupine.Operation {
	var all []porcupine.Operation
	for i, o := range operations {
		event := porcupine.Operation{
			ClientId: i, Input: input{operation: o},
			Call: int64(o.Start), Return: int64(o.End),
		}
		if o.Action == Write && o.Result == Unknown {
			event.Return = math.MaxInt64
		}
		all = append(all, event)
	}

	return all
}

// strict is a register: an unknown write that finds another value than it demands does nothing.
func strict() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return "" },
		Step: func(state, in, _ any) (bool, any) {
			value, o := state.(string), in.(input).operation
			switch {
			case o.Action == Read:
				return o.Value == value, value
			case o.Guarded && o.Old != value:
				return o.Result == Unknown, value
			default:
				return true, o.Value
			}
		},
	}
}

// separator divides the values of a stack; no reference or name contains it.
const separator = "\x00"

// forgetful is a register whose unknown writes can be undone, as long as nothing was acknowledged
// on top of them. Its state is a stack: what is sure, and on top of it what is not.
func forgetful() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return "" },
		Step: func(state, in, _ any) (bool, any) {
			stack, step := state.(string), in.(input)
			if step.undo {
				return true, undo(stack, step.operation)
			}
			o, value := step.operation, stack[strings.LastIndex(stack, separator)+1:]
			switch {
			case o.Action == Read:
				return o.Value == value, stack
			case o.Guarded && o.Old != value:
				return o.Result == Unknown, stack
			case o.Result == Unknown:
				return true, stack + separator + o.Value
			default:
				return true, o.Value
			}
		},
	}
}

// undo takes a write from the top of a stack, if it is there.
func undo(stack string, o Operation) string {
	at := strings.LastIndex(stack, separator)
	if at < 0 || stack[at+1:] != o.Value {
		return stack
	}

	return stack[:at]
}

// explainUndone looks for an order in which some unknown writes are undone, and returns these.
func explainUndone(key Key, operations []Operation, config Config) ([]Finding, bool) {
	all := events(operations)
	for i, o := range operations {
		if o.Action == Write && o.Result == Unknown {
			all = append(all, porcupine.Operation{
				ClientId: len(operations) + i, Input: input{operation: o, undo: true},
				Call: int64(o.Start), Return: math.MaxInt64,
			})
		}
	}

	result, info := porcupine.CheckOperationsVerbose(forgetful(), all, config.Patience)
	if result != porcupine.Ok {
		return nil, false
	}

	return replay(key, info.PartialLinearizationsOperations()), true
}

// replay follows an order and returns the writes that were undone before something else happened
// to the register.
func replay(key Key, orders [][][]porcupine.Operation) []Finding {
	var undone, pending []Finding
	model := forgetful()
	for _, partition := range orders {
		if len(partition) == 0 {
			continue
		}
		state := model.Init()
		for _, event := range partition[0] {
			before := state
			_, state = model.Step(state, event.Input, nil)
			step := event.Input.(input)
			if step.undo && state != before {
				pending = append(pending, Finding{
					Key: key, Text: fmt.Sprintf("%.10s was seen and is gone", step.operation.Value),
					Evidence: []Operation{step.operation},
				})
			} else if step.operation.Result == Acknowledged {
				undone, pending = append(undone, pending...), nil
			}
		}
	}

	return undone
}
