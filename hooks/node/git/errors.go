package git

import (
	"errors"
	"strings"
)

var (
	// ErrEnded says that an Updater was used after its end.
	ErrEnded = errors.New("reference update has ended")

	// ErrUnexpectedAnswer says that Git answered something else than that it did as it was told.
	ErrUnexpectedAnswer = errors.New("unexpected answer of git")
)

// Locked tells whether a change failed because somebody else holds a reference locked. Repeating it
// later can help.
func Locked(err error) bool {
	return says(err, ".lock': File exists", "Unable to create")
}

// Moved tells whether a change failed because a reference was not where it was expected, or there
// was one where none was expected.
func Moved(err error) bool {
	return says(err, "but expected ") || says(err, "reference already exists") ||
		says(err, "unable to resolve reference")
}

// Malformed tells whether a change failed because a name is no name for a reference.
func Malformed(err error) bool {
	return says(err, "invalid ref format") || says(err, "refusing to update ref with bad name")
}

// says tells whether Git wrote all of the parts.
func says(err error, parts ...string) bool {
	var failed *Error
	if !errors.As(err, &failed) {
		return false
	}
	for _, part := range parts {
		if !strings.Contains(failed.Stderr, part) {
			return false
		}
	}

	return true
}
