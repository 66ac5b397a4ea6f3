package transaction

import "fmt"

// Config says who votes in a transaction and how many copies a write needs.
type Config struct {
	// Primary runs the hooks and its votes lead. It always counts.
	Primary Voter
	// Secondaries are the other current replicas that take part. They count.
	Secondaries []Voter
	// Learners are replicas in the last step of their repair: they hear every decision and are
	// never counted, waited for as copies, or raised by a record.
	Learners []Voter
	// MinimumCopies is how many voters, the primary or its successor among them, must hold a
	// write before it may be acknowledged. 1 <= MinimumCopies <= 1 + len(Secondaries).
	MinimumCopies int
	// Gate says which votes wait for the repository's turn.
	Gate Gate
}

func (c Config) validate() error {
	if c.Primary == "" {
		return ErrNoPrimary
	}
	if c.MinimumCopies < 1 || c.MinimumCopies > 1+len(c.Secondaries) {
		return fmt.Errorf("%w: %d of %d", ErrMinimumCopies, c.MinimumCopies, 1+len(c.Secondaries))
	}
	if c.Gate > GateNone {
		return fmt.Errorf("%w: %d", ErrUnknownGate, c.Gate)
	}
	return nil
}
