package repair

import "errors"

var (
	// ErrInvalidConfig says that a value of the [Config] is negative or the times contradict each
	// other.
	ErrInvalidConfig = errors.New("invalid repair configuration")

	// errNoSource says that no current replica can be copied from right now.
	errNoSource = errors.New("no current replica to copy from")
	// errSick says that a node of a copy stopped answering.
	errSick = errors.New("node of the copy is not healthy")
	// errSlow says that a copy took longer than it may.
	errSlow = errors.New("copy takes too long")
	// errClaimLost says that the claim could not be kept.
	errClaimLost = errors.New("claim of the repair was lost")
)
