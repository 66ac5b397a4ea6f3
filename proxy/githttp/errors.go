package githttp

import (
	"errors"
	"net/http"
)

var (
	// ErrConfig is returned for a configuration that cannot work.
	ErrConfig = errors.New("invalid configuration")

	// errClient says that the client broke off or sent what cannot be read.
	errClient = errors.New("read request")

	// errGone says that the client takes no answer any more.
	errGone = errors.New("client takes no answer")

	// errStopped ends the reading of a request whose answer is complete.
	errStopped = errors.New("request not wanted any more")
)

// refusal is an answer that the gateway gives by itself.
type refusal struct {
	status int
	text   string
}

// Error returns the text that the client sees.
func (r *refusal) Error() string { return r.text }

func notFound() error {
	return &refusal{http.StatusNotFound, "no such page; repositories are at /<path>.git"}
}

func wrongMethod(allowed string) error {
	return &refusal{http.StatusMethodNotAllowed, "only " + allowed + " is allowed here"}
}

func wrongService(name string) error {
	return &refusal{http.StatusForbidden, "service " + name + " is not offered; " +
		"a Git client with the smart HTTP protocol is needed"}
}

func wrongType(want string) error {
	return &refusal{http.StatusUnsupportedMediaType, "the request must be of type " + want}
}

func wrongEncoding() error {
	return &refusal{http.StatusUnsupportedMediaType, "only gzip is understood as encoding"}
}

func unauthorized() error {
	return &refusal{http.StatusUnauthorized, "authentication required"}
}

func overloaded() error {
	return &refusal{http.StatusServiceUnavailable, "too many requests in progress, try again"}
}
