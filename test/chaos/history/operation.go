package history

import (
	"slices"
	"time"
)

// Key names a register.
type Key struct {
	Repository string `json:"repository"`
	Name       string `json:"name"`
}

func (k Key) String() string { return k.Repository + " " + k.Name }

// Action is what an operation does.
type Action string

const (
	// Read asks for the value.
	Read Action = "read"
	// Write sets the value, an empty one deletes.
	Write Action = "write"
)

// Result is what the client knows afterwards.
type Result string

const (
	// Acknowledged operations have happened.
	Acknowledged Result = "acknowledged"
	// Refused operations surely have not happened.
	Refused Result = "refused"
	// Unknown operations may have happened, may happen yet, or never.
	Unknown Result = "unknown"
)

// Operation is what a client did to one register.
type Operation struct {
	Key    Key    `json:"key"`
	Action Action `json:"action"`
	// Value is what was read or written.
	Value string `json:"value"`
	// Guarded tells that the write was to happen only if the value was Old.
	Guarded bool   `json:"guarded,omitempty"`
	Old     string `json:"old,omitempty"`
	Result  Result `json:"result"`

	// Call is the same for all operations of one call, Client who made it, Method which it was, and
	// Via the proxy through which it went, or the storage whose disk was read.
	Call   int64  `json:"call"`
	Client int    `json:"client"`
	Method string `json:"method"`
	Via    string `json:"via,omitempty"`
	// Group, if not empty, names registers of a repository that are only changed all together. The
	// operations of a call with the same group are one change, or one look at all of them.
	Group string `json:"group,omitempty"`
	// Primary tells that a read was to be answered by the primary, Final that it was made when
	// everything was over.
	Primary bool `json:"primary,omitempty"`
	Final   bool `json:"final,omitempty"`

	// Start and End are the time since the begin of the history.
	Start time.Duration `json:"start"`
	End   time.Duration `json:"end"`
	// Detail is the error that the client got.
	Detail string `json:"detail,omitempty"`
}

// Finding is one violation.
type Finding struct {
	Key  Key
	Text string
	// Evidence are the operations that contradict each other.
	Evidence []Operation
}

// Report is what was found.
type Report struct {
	Lost, Stale, Torn, Undone []Finding
	// Undecided are registers for which no answer was found in time.
	Undecided []Finding
}

// Check judges a history.
func Check(operations []Operation, config Config) Report {
	config = config.withDefaults()
	registers := map[Key][]Operation{}
	for _, operation := range operations {
		registers[operation.Key] = append(registers[operation.Key], operation)
	}

	report := Report{Torn: torn(operations, config)}
	for _, key := range sortedKeys(registers) {
		register := registers[key]
		slices.SortStableFunc(register, func(a, b Operation) int { return int(a.Start - b.Start) })
		report.add(recent(register))
	}
	report.add(linearizable(registers, report.broken(), config))

	return report
}

// add appends the findings of another report.
func (r *Report) add(other Report) {
	r.Lost = append(r.Lost, other.Lost...)
	r.Stale = append(r.Stale, other.Stale...)
	r.Torn = append(r.Torn, other.Torn...)
	r.Undone = append(r.Undone, other.Undone...)
	r.Undecided = append(r.Undecided, other.Undecided...)
}

// broken returns the registers of which something bad is known.
func (r *Report) broken() map[Key]bool {
	keys := map[Key]bool{}
	for _, finding := range slices.Concat(r.Lost, r.Stale) {
		keys[finding.Key] = true
	}

	return keys
}

func sortedKeys(registers map[Key][]Operation) []Key {
	keys := make([]Key, 0, len(registers))
	for key := range registers {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b Key) int {
		if a.String() < b.String() {
			return -1
		}

		return 1
	})

	return keys
}
