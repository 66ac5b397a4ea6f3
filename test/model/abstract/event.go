package abstract

import "fmt"

// Kind says what happened.
type Kind string

// What happens, and in which fields of an [Event] the rest is. Repeated statements that change
// nothing are no events.
const (
	// Enlisted: the lease of Proxy begins. Ended: it has none any more.
	Enlisted Kind = "enlisted"
	Ended    Kind = "ended"
	// Opened: the turn Write of Proxy, with the participants Nodes (none: a hold), and what was
	// read under it: Generation, Epoch, Primary.
	Opened Kind = "opened"
	// Unvoted: what Write changes is not voted on, so that nobody can be seen to be told.
	Unvoted Kind = "unvoted"
	// Told: COMMIT for PREPARED is handed out to Node. Applied: its disk has changed by it.
	Told    Kind = "told"
	Applied Kind = "applied"
	// Recorded: Nodes are raised; Generation, Epoch and Primary are those after it. Outcome is
	// Kept, or Undone when what is raised are the nodes that do not have it.
	Recorded Kind = "recorded"
	// Confirmed: Node was taken back in after the last record.
	Confirmed Kind = "confirmed"
	// Closed and Marked: the intent of Write is removed, or left to recovery; if it is there.
	Closed Kind = "closed"
	Marked Kind = "marked"
	// Adopted: by Proxy with Number; Epoch is the one after it.
	Adopted Kind = "adopted"
	// Resolved: Proxy keeps Nodes, by its adoption Number or, if that is 0, by its own hold.
	// Dropped: it only removes the intent.
	Resolved Kind = "resolved"
	Dropped  Kind = "dropped"
	// Elected: under the hold Write, which ends. Primary and Epoch are those after it.
	Elected Kind = "elected"
	// Claimed: Node, for the repair Number; it is Emptied, and Repaired to Generation.
	Claimed  Kind = "claimed"
	Emptied  Kind = "emptied"
	Repaired Kind = "repaired"
	// Answered: the client of Write is told Outcome.
	Answered Kind = "answered"
)

// Outcomes of an event.
const (
	Kept   = "kept"
	Undone = "undone"
	// Done and None are answers that promise something.
	Done = "recorded"
	None = "none"
)

// Event is one step.
type Event struct {
	Kind Kind
	// Write numbers turns: each that was opened has its own, above 0.
	Write int
	// Proxy numbers incarnations, from 1 on.
	Proxy             int
	Node, Primary     int
	Nodes             Set
	Generation, Epoch int
	Number            int
	Outcome           string
}

// String is for reports.
func (e Event) String() string {
	return fmt.Sprintf("%s write=%d proxy=%d node=%d nodes=%b primary=%d generation=%d epoch=%d "+
		"number=%d outcome=%q", e.Kind, e.Write, e.Proxy, e.Node, e.Nodes, e.Primary, e.Generation,
		e.Epoch, e.Number, e.Outcome)
}

// Set is a set of nodes.
type Set uint64

// Has says whether a node is in it.
func (s Set) Has(node int) bool { return node >= 0 && s>>node&1 == 1 }

// With returns the set and one more node.
func (s Set) With(node int) Set { return s | 1<<node }

// Within says that all of it is in another set.
func (s Set) Within(other Set) bool { return s&^other == 0 }

// Size counts the nodes.
func (s Set) Size() int {
	size := 0
	for ; s != 0; s &= s - 1 {
		size++
	}
	return size
}
