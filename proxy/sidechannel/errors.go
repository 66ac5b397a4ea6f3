package sidechannel

import (
	"errors"
	"fmt"
)

var (
	// ErrNotOpened says that the server ended its call without opening the
	// sidechannel, as it does when it refuses the request.
	ErrNotOpened = errors.New("sidechannel was not opened")

	// ErrNoMetadata says that a context is not that of a served call.
	ErrNoMetadata = errors.New("sidechannel: failed to extract incoming metadata")

	// ErrNoID says that the caller offered no sidechannel.
	ErrNoID = errors.New("sidechannel: sidechannel-id not found in incoming metadata")

	// ErrInvalidFrame says that the client's bytes are not framed as agreed.
	ErrInvalidFrame = errors.New("sidechannel: invalid header")

	// ErrWriteClosed says that something was written after the end of the
	// client's data.
	ErrWriteClosed = errors.New("sidechannel: write after half-close")
)

// Retryable tells whether err means that the sidechannel could not be opened
// because of the connection: the same call may succeed on another one.
func Retryable(err error) bool {
	var opening *openError
	return errors.As(err, &opening)
}

// Unreached tells whether err of a [Relay] means that no sidechannel towards
// the caller could be opened. Whatever the server says of the end of its own
// is a consequence then.
func Unreached(err error) bool {
	var unreached *unreachedError
	return errors.As(err, &unreached)
}

// unreachedError marks an error of which [Unreached] holds.
type unreachedError struct{ err error }

// Error implements error.
func (e *unreachedError) Error() string { return e.err.Error() }

// Unwrap returns the error without the mark.
func (e *unreachedError) Unwrap() error { return e.err }

// openError is a failure of the connection while a sidechannel was opened.
type openError struct {
	step string
	err  error
}

// Error implements error.
func (e *openError) Error() string { return fmt.Sprintf("sidechannel: %s: %v", e.step, e.err) }

// Unwrap returns the connection's error.
func (e *openError) Unwrap() error { return e.err }
