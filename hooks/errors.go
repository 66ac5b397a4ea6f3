package hooks

import "errors"

var (
	// ErrAborted says that the nodes do not agree, or too few took part: the change must not
	// happen here.
	ErrAborted = errors.New("transaction was aborted")

	// ErrStopped says that the primary refused the change, as its hooks told it to.
	ErrStopped = errors.New("transaction was stopped")

	// ErrUnknownState says that the coordinator answered a vote with a verdict that this node does
	// not know.
	ErrUnknownState = errors.New("invalid transaction state")

	// ErrNoPayload says that a hook was started by somebody else than a node.
	ErrNoPayload = errors.New("not started by a node: " + PayloadVariable + " is not set")

	// ErrUnknownHook says that a hook was started under a name that Git does not use for it.
	ErrUnknownHook = errors.New("unknown hook")

	// ErrUnknownCall says that a hook asked its node for something that the node does not know.
	ErrUnknownCall = errors.New("unknown call")

	// ErrInvalidHash says that a vote has another length than a [Hash].
	ErrInvalidHash = errors.New("invalid hash")

	// ErrUnknownOperation says that the operation to which a hook belongs has ended on its node.
	ErrUnknownOperation = errors.New("unknown operation")

	// ErrOperationEnded is what a custom hook is killed for: nobody waits for its result any more.
	ErrOperationEnded = errors.New("operation has ended")

	// ErrFrameTooLarge says that a message between hook and node exceeds its bound.
	ErrFrameTooLarge = errors.New("message too large")

	// ErrInputTooLarge says that the input for a custom hook exceeds its bound.
	ErrInputTooLarge = errors.New("hook input too large")
)
