package registry

import (
	"time"

	"praefect/transaction"
)

// Observer is told of steps of a transaction, each when it is over. Its methods are called
// concurrently; they must not block and must not call the Live.
type Observer interface {
	// Voted tells of a vote that was cast at the given time: what its node is about to be told.
	Voted(since time.Time, vote Voted)
	// Waited tells of a wait for the turn; an error says that it was in vain.
	Waited(since time.Time, err error)
	// Recorded tells of an attempt to write an outcome, before anybody is released.
	Recorded(since time.Time, err error)
}

// Voted is a vote and what came of it: a decision, or an error if it was taken back.
type Voted struct {
	Voter    transaction.Voter
	Phase    transaction.Phase
	Vote     transaction.Vote
	Decision transaction.Decision
	Err      error
}

// unobserved is the Observer of a transaction that nobody observes.
type unobserved struct{}

// Voted does nothing.
func (unobserved) Voted(time.Time, Voted) {}

// Waited does nothing.
func (unobserved) Waited(time.Time, error) {}

// Recorded does nothing.
func (unobserved) Recorded(time.Time, error) {}
