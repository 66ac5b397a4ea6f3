package client

import "time"

// Verdict is how a write ended from the point of view of whoever asks for availability.
type Verdict string

const (
	// Succeeded means that it was done.
	Succeeded Verdict = "succeeded"
	// Declined means that it could not be done as it was asked for, because a reference had moved,
	// or a repository existed or did not.
	Declined Verdict = "declined"
	// Queued means that it waited for its turn until that was too long.
	Queued Verdict = "queued"
	// Failed is anything else.
	Failed Verdict = "failed"
)

// Attempt is one call that writes.
type Attempt struct {
	Start, End time.Duration
	// Via is the proxy, empty when no connection was made.
	Via        string
	Repository string
	Method     string
	Verdict    Verdict
	Detail     string
}
