package coordinator

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"time"
)

// Defaults of [Config].
const (
	// defaultTurnWait is how long a client waits behind other writers of a repository.
	defaultTurnWait = 10 * time.Second
	// defaultQueueMax: at the usual tens of milliseconds a turn, more could not be served within
	// the wait anyway.
	defaultQueueMax = 1000
	// defaultRecordTimeout bounds how long voters are kept waiting for the database; it is well
	// below the 30 s after which a vote is given up.
	defaultRecordTimeout = 10 * time.Second
	// defaultLeaseEnd is after what time a proxy that is not heard of has lost its lease for sure.
	defaultLeaseEnd = 7 * time.Second
	// defaultRouteBytes holds the routes of about a million repositories.
	defaultRouteBytes = 256 << 20
	// defaultDrain is how long a node may take to end a write after its outcome is recorded.
	// Its replica is not repaired before.
	defaultDrain = 35 * time.Second
	// defaultSettle is how long a node that was lost may still be acting on what it was told.
	defaultSettle = 2 * time.Second
	// defaultNodeDeadline is after what time a Gitaly node gives up a vote that nobody answers, and
	// a margin.
	defaultNodeDeadline = 5*time.Minute + 30*time.Second
)

// OutageReads is a policy for reads while the metadata cannot be reached.
type OutageReads uint8

const (
	// OutageStrict refuses reads, since another proxy may have taken a write that this one does not
	// know of.
	OutageStrict OutageReads = iota
	// OutageServe goes on with the routes known last: reads may miss acknowledged writes.
	OutageServe
)

// Config tunes a [Coordinator]. The zero value of a field means its default.
type Config struct {
	// TurnWait bounds the wait for a turn where the caller gives no bound. Default 10 s.
	TurnWait time.Duration
	// QueueMax bounds the writers that wait for the turn of one repository. Default 1000.
	QueueMax int
	// RecordTimeout bounds the repetitions of a record that the store does not answer.
	// Default 10 s.
	RecordTimeout time.Duration
	// LeaseEnd is how long a proxy that does not answer may go on using routes that have changed:
	// lease and margin. Default 7 s.
	LeaseEnd time.Duration
	// OutageReads says what happens to reads while the store does not answer and the lease is lost.
	// Default [OutageStrict].
	OutageReads OutageReads
	// RouteBytes bounds the memory of cached routes. Default 256 MiB.
	RouteBytes int64
	// Drain delays the repair of a replica whose node has not ended a write yet. Default 35 s.
	Drain time.Duration
	// Settle delays the repair of a replica whose node was lost during a write. Default 2 s.
	Settle time.Duration
	// NodeDeadline is the time after which no node acts any more on a call whose proxy is gone.
	// Default 5.5 min.
	NodeDeadline time.Duration
	// Random replaces the randomness of this process if it is not nil. It must be safe for
	// concurrent use.
	Random rand.Source
}

// WithDefaults fills in what is zero.
func (c Config) WithDefaults() Config {
	c.TurnWait = cmp.Or(c.TurnWait, defaultTurnWait)
	c.QueueMax = cmp.Or(c.QueueMax, defaultQueueMax)
	c.RecordTimeout = cmp.Or(c.RecordTimeout, defaultRecordTimeout)
	c.LeaseEnd = cmp.Or(c.LeaseEnd, defaultLeaseEnd)
	c.RouteBytes = cmp.Or(c.RouteBytes, defaultRouteBytes)
	c.Drain = cmp.Or(c.Drain, defaultDrain)
	c.Settle = cmp.Or(c.Settle, defaultSettle)
	c.NodeDeadline = cmp.Or(c.NodeDeadline, defaultNodeDeadline)
	return c
}

// Validate refuses negative values.
func (c Config) Validate() error {
	for _, bound := range []struct {
		name  string
		value int64
	}{
		{"turn wait", int64(c.TurnWait)},
		{"queue", int64(c.QueueMax)},
		{"record timeout", int64(c.RecordTimeout)},
		{"route bytes", c.RouteBytes},
		{"drain", int64(c.Drain)},
		{"settle", int64(c.Settle)},
		{"node deadline", int64(c.NodeDeadline)},
		{"lease end", int64(c.LeaseEnd)},
	} {
		if bound.value < 0 {
			return fmt.Errorf("%w: %s is negative", ErrInvalidConfig, bound.name)
		}
	}
	return nil
}
