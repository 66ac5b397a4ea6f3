package relay

import "praefect/transaction"

// Voting is whoever counts the votes of a call. Its methods are called concurrently.
type Voting interface {
	// Ended tells that a node has ended its call itself: what it did is final. It may have been
	// told to be lost before.
	Ended(node transaction.Voter)
	// Lost tells that nothing more will be known of a node's call, or that the node takes no
	// further part in it.
	Lost(node transaction.Voter)
	// MayHoldLocks tells whether the node may hold locks of the repository on its disk, so that
	// its call must not be cancelled.
	MayHoldLocks(node transaction.Voter) bool
	// Abort tells that the client does not wait any more: what is undecided shall be aborted.
	Abort()
	// Overdue delivers nodes that let others wait too long and shall take no further part.
	Overdue() <-chan transaction.Voter
	// Broken is closed before any node is told to go on, when the call has to fail.
	Broken() <-chan struct{}
}

// Unvoted is the Voting of a call in which nobody votes and no lock is feared for.
type Unvoted struct{}

// Ended does nothing.
func (Unvoted) Ended(transaction.Voter) {}

// Lost does nothing.
func (Unvoted) Lost(transaction.Voter) {}

// MayHoldLocks returns false.
func (Unvoted) MayHoldLocks(transaction.Voter) bool { return false }

// Abort does nothing.
func (Unvoted) Abort() {}

// Overdue returns a channel that delivers nothing.
func (Unvoted) Overdue() <-chan transaction.Voter { return nil }

// Broken returns a channel that is never closed.
func (Unvoted) Broken() <-chan struct{} { return nil }
