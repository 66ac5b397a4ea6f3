package wire

import (
	"errors"
	"fmt"
)

var (
	// ErrMalformed is returned for bytes that no decoder accepts.
	ErrMalformed = errors.New("malformed message")

	// ErrAbsent is returned when a value shall be replaced in a message that does not occur.
	ErrAbsent = errors.New("message to change is absent")

	// ErrPath is returned for a path that is empty or longer than any of the protocol, for two
	// changes of one field, and for more changes than a message can have.
	ErrPath = errors.New("impossible path")
)

// SyntaxError says where a message is malformed. It matches [ErrMalformed].
type SyntaxError struct {
	// Offset counts bytes from the start of the whole message.
	Offset int
	// Path leads to the message or string that is malformed there; it is empty for the whole.
	Path []int32
	// Err says what is wrong there.
	Err error
}

// Error returns the text.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%v at offset %d: %v", ErrMalformed, e.Offset, e.Err)
}

// Unwrap returns both what is wrong and [ErrMalformed].
func (e *SyntaxError) Unwrap() []error { return []error{ErrMalformed, e.Err} }
