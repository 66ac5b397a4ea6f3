package abstract

import (
	"errors"
	"fmt"
)

// ErrNotAllowed says that the protocol does not allow a step.
var ErrNotAllowed = errors.New("step is not allowed")

// absent is the generation of a replica that is not there.
const absent = -1

// State is what the store, and those who look at the nodes, know of one repository.
type State struct {
	minimum                    int
	generation, epoch, primary int
	// at are the generations of the replicas, claims the numbers of the repairs that have begun
	// since they were current.
	at, claims []int
	living     map[int]bool
	turns      map[int]*turn
	// open is the intent that is there, last the turn that was recorded last.
	open, last *turn
	// held are generations that were read under a turn without a write.
	held map[int]bool
}

// turn is a turn and what has become of it.
type turn struct {
	write, proxy     int
	nodes            Set
	marked, unvoted  bool
	adopter, number  int
	told, applied    Set
	recorded, undone bool
	// epoch and generation are those after the record.
	epoch, generation int
	copies            Set
	refused           bool
}

// NewState begins with replicas that are all current at generation 1 in epoch 1 under primary 0.
func NewState(nodes, minimum int) *State {
	s := &State{
		minimum: minimum, at: make([]int, nodes), claims: make([]int, nodes),
		living: map[int]bool{}, turns: map[int]*turn{}, held: map[int]bool{},
	}
	s.Start(1, 1, 0)
	return s
}

// Start puts the repository, with all its replicas, elsewhere, before the first step.
func (s *State) Start(generation, epoch, primary int) {
	s.generation, s.epoch, s.primary = generation, epoch, primary
	for node := range s.at {
		s.at[node] = generation
	}
}

// Check takes all steps, and returns the first that is not allowed. It matches [ErrNotAllowed].
func Check(s *State, trace []Event) error {
	for i, e := range trace {
		if err := s.Step(e); err != nil {
			return fmt.Errorf("step %d of %d: %w", i+1, len(trace), err)
		}
	}
	return nil
}

// Step takes one step. An error matches [ErrNotAllowed] and says why.
func (s *State) Step(e Event) error {
	step, ok := map[Kind]func(Event) string{
		Enlisted: s.enlisted, Ended: s.ended, Opened: s.opened, Unvoted: s.unvoted,
		Told: s.told, Applied: s.applied, Recorded: s.recorded, Confirmed: s.confirmed,
		Closed: s.closed, Marked: s.marked, Adopted: s.adopted, Resolved: s.resolved,
		Dropped: s.dropped, Elected: s.elected, Claimed: s.claimed, Emptied: s.emptied,
		Repaired: s.repaired, Answered: s.answered,
	}[e.Kind]
	if !ok {
		return fmt.Errorf("%w: %v: unknown kind", ErrNotAllowed, e)
	}
	if why := step(e); why != "" {
		return fmt.Errorf("%w: %v: %s (at %v, generation %d, epoch %d, primary %d)",
			ErrNotAllowed, e, why, s.at, s.generation, s.epoch, s.primary)
	}
	return nil
}

// current are the replicas that stand at the repository's generation.
func (s *State) current() Set {
	var nodes Set
	for node, generation := range s.at {
		if generation == s.generation {
			nodes = nodes.With(node)
		}
	}
	return nodes
}

// raise moves the repository on, and some replicas with it.
func (s *State) raise(e Event) {
	s.generation, s.epoch, s.primary = e.Generation, e.Epoch, e.Primary
	for node := range s.at {
		if e.Nodes.Has(node) {
			s.at[node], s.claims[node] = s.generation, 0
		}
	}
}

// owned says that a turn is open and in the hands of whoever opened it.
func (s *State) owned(write int) bool {
	return s.open != nil && s.open.write == write && !s.open.marked && s.open.adopter == 0
}

// orphaned says that nobody who lives brings the open turn to its end.
func (s *State) orphaned() bool {
	if s.open.adopter != 0 {
		return !s.living[s.open.adopter]
	}
	return s.open.marked || !s.living[s.open.proxy]
}

// why returns the first reason that holds.
func why(reasons ...reason) string {
	for _, r := range reasons {
		if r.holds {
			return r.text
		}
	}
	return ""
}

// reason is why a step is refused, if it holds.
type reason struct {
	holds bool
	text  string
}
