package transaction

import "errors"

var (
	// ErrUnknownVoter means that the voter does not take part in this transaction.
	ErrUnknownVoter = errors.New("unknown voter")
	// ErrVotePending means that the voter cast a vote while an earlier one is not answered yet.
	ErrVotePending = errors.New("vote pending")
	// ErrNoPrimary means that a configuration names no primary.
	ErrNoPrimary = errors.New("no primary")
	// ErrDuplicateVoter means that a configuration names a voter twice.
	ErrDuplicateVoter = errors.New("duplicate voter")
	// ErrMinimumCopies means that a configuration asks for fewer than one copy, or for more
	// copies than there are voters that count.
	ErrMinimumCopies = errors.New("minimum copies out of range")
	// ErrUnknownGate means that a configuration names a gate that does not exist.
	ErrUnknownGate = errors.New("unknown gate")
)
