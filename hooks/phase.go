package hooks

import "strconv"

// Phase says which step a vote is for. The numbers are those of the protocol.
type Phase uint8

// The steps of a change, in the order in which a node reaches them. Synchronized stands apart: it
// only makes the nodes wait for each other, nothing is locked or written.
const (
	// Prepared is voted when everything is locked and checked, and the change would succeed.
	Prepared Phase = 1
	// Committed is voted when the change is on disk and the locks are released.
	Committed Phase = 2
	// Synchronized is voted where nodes wait for each other, for example for the primary's hook.
	Synchronized Phase = 3
	// Preparing is voted before anything is locked.
	Preparing Phase = 4
)

// String returns the phase as logs show it.
func (p Phase) String() string {
	switch p {
	case Prepared:
		return "prepared"
	case Committed:
		return "committed"
	case Synchronized:
		return "synchronized"
	case Preparing:
		return "preparing"
	default:
		return "phase " + strconv.Itoa(int(p))
	}
}
