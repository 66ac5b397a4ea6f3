package registry

import (
	"context"

	"praefect/transaction"
)

// Turn is the repository's line of writers, as one write sees it. Calls of one Live never
// overlap.
type Turn interface {
	// TakeTurn waits in line until the turn is held, or ctx ends. It returns the voters that are
	// found not to be current any more. After an error the turn is not held.
	TakeTurn(ctx context.Context) (lapsed []transaction.Voter, err error)
	// Contended says whether anybody waits for the turn. It must not block.
	Contended() bool
	// ReleaseTurn gives the turn back; without effect if it is not held.
	ReleaseTurn(ctx context.Context)
}

// Recorder writes the outcomes of one write call.
type Recorder interface {
	// Leased says whether this process may still let nodes commit. It must not block and must not
	// call the Live.
	Leased() bool
	// Overran says that the lease had run out when nodes were told to commit, so that somebody may
	// have decided without them.
	Overran(ctx context.Context) error
	// Committing says that nodes are about to commit: until the record, reads go to the primary.
	// It must not block and must not call the Live.
	Committing()
	// Record writes an outcome and gives the turn back. It repeats by itself what is worth
	// repeating: an error means that the outcome is unknown, and the turn is kept.
	Record(ctx context.Context, record transaction.Record) error
	// Confirm takes a voter back in that confirmed a write after its record. False means that it
	// came too late.
	Confirm(ctx context.Context, write uint64, voter transaction.Voter) (bool, error)
}

// Writer is what a transaction needs of those who decide. One Writer belongs to one call.
type Writer interface {
	Turn
	Recorder
}
