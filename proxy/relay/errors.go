package relay

import "errors"

var (
	// ErrDraining says that so many calls are waiting for nodes to end that no further write
	// is started. Nothing was sent to a node; trying again later is right.
	ErrDraining = errors.New("too many calls wait for nodes to end them")
	// ErrVotesBroken says that the call had to end because its votes could not be brought to an
	// end. What became of the write is known to whoever counts the votes.
	ErrVotesBroken = errors.New("votes could not be brought to an end")
	// ErrPrimaryOverdue says that the call had to end because the primary did not vote in time.
	ErrPrimaryOverdue = errors.New("primary did not vote in time")
	// ErrGivenUp says that a node did not end a call within the time that it was given.
	ErrGivenUp = errors.New("node did not end the call in time")
	// ErrRequestTooLarge says that a request which has to be received whole before any node may
	// see it is longer than the relay keeps. Nothing was sent to a node.
	ErrRequestTooLarge = errors.New("request is too large")
	// ErrCrowded says that such requests are too long together. Nothing was sent to a node; trying
	// again later is right.
	ErrCrowded = errors.New("too much of requests is held at the same time")
	// ErrInvalidConfig says that a bound has a value that cannot work.
	ErrInvalidConfig = errors.New("invalid relay configuration")
)

// RepeatableError says that a node failed before the client was sent anything and before more
// than the first message was taken from the client, so that the call may be carried to another
// node. It wraps the node's status.
type RepeatableError struct{ Err error }

// Error returns the text of the node's status.
func (e *RepeatableError) Error() string { return e.Err.Error() }

// Unwrap returns the node's status.
func (e *RepeatableError) Unwrap() error { return e.Err }
