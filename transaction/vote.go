package transaction

import (
	"encoding/hex"
	"strconv"
)

// Voter is a participant of a transaction, known by the storage name of its node.
type Voter string

// Phase says which step of a reference transaction a vote belongs to. The numbers are those of
// the wire.
type Phase uint8

// The phases a node may vote in. A number that is not listed is treated like Unknown.
const (
	// Unknown is a vote without a phase. The primary's own vote decides such a round.
	Unknown Phase = 0
	// Prepared is cast while the locks of the references are held and before anything changes.
	Prepared Phase = 1
	// Committed is cast after the change is on the disk, while the node still waits for us.
	Committed Phase = 2
	// Synchronized keeps nodes in step around hooks; nothing changes by it.
	Synchronized Phase = 3
	// Preparing is cast before any lock is taken. It is a gate in front of Prepared, not a round.
	Preparing Phase = 4
)

// String returns the phase as scripts and metrics write it.
func (p Phase) String() string {
	switch p {
	case Unknown:
		return "unknown"
	case Prepared:
		return "prepared"
	case Committed:
		return "committed"
	case Synchronized:
		return "synchronized"
	case Preparing:
		return "preparing"
	}
	return "phase(" + strconv.Itoa(int(p)) + ")"
}

// VoteSize is the length of a vote in bytes. Votes are SHA-1 sums, also in SHA-256 repositories.
const VoteSize = 20

// Vote is the hash of what a node is about to do or has done.
type Vote [VoteSize]byte

// String returns the vote in hexadecimal digits.
func (v Vote) String() string { return hex.EncodeToString(v[:]) }

// Decision is the answer to a vote.
type Decision uint8

// The answers a voter can get. The zero value is none of them, so that a decision that was never
// made is not mistaken for a permission.
const (
	// Commit lets the node go on.
	Commit Decision = iota + 1
	// Abort makes the node give up this step; git ignores it once it has committed.
	Abort
	// Stop ends the call gracefully, because a hook on the primary refused the change.
	Stop
)

// String returns the decision in capitals, as scripts write it.
func (d Decision) String() string {
	switch d {
	case Commit:
		return "COMMIT"
	case Abort:
		return "ABORT"
	case Stop:
		return "STOP"
	}
	return "UNDECIDED"
}

// Ticket names one vote that was cast. Every ticket is answered exactly once, see [Ready].
type Ticket uint64
