package registry

import "errors"

var (
	// ErrNotFound means that no transaction with the given id is live here.
	ErrNotFound = errors.New("transaction not found")
	// ErrOutcomeUnknown means that nodes have committed a write whose outcome is not recorded:
	// the call must fail and must not be repeated by itself.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrTooFewCopies means that a write is recorded and held by fewer copies than it needs: the
	// call must fail although the write stands.
	ErrTooFewCopies = errors.New("recorded below the minimum of copies")
	// ErrInvalidConfig means that a duration or bound of a Config makes no sense.
	ErrInvalidConfig = errors.New("invalid configuration")
)
