package fault

import (
	"fmt"
	"time"
)

// Kind is what is done.
type Kind string

// Kinds of faults, see the package documentation.
const (
	Kill     Kind = "kill"
	Freeze   Kind = "freeze"
	Refuse   Kind = "refuse"
	Stall    Kind = "stall"
	Database Kind = "database"
	Disk     Kind = "disk"
)

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{Kill, Freeze, Refuse, Stall, Database, Disk} }

// Fault is something that was broken and mended.
type Fault struct {
	Kind Kind
	// From is the party whose connections to To were broken; empty when To itself was.
	From, To string
	// Start is when it began, End when it was over.
	Start, End time.Duration
	// Primary are the relative paths of repositories whose primary was To when it began.
	Primary []string
}

func (f Fault) String() string {
	who := f.To
	if f.From != "" {
		who = f.From + " -> " + f.To
	}

	return fmt.Sprintf("%-8s %-26s %6.1fs for %.1fs",
		f.Kind, who, f.Start.Seconds(), (f.End - f.Start).Seconds())
}

// Count says how often each kind came.
func Count(faults []Fault) map[Kind]int {
	counts := map[Kind]int{}
	for _, f := range faults {
		counts[f.Kind]++
	}

	return counts
}
