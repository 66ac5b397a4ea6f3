package relay

import (
	"fmt"
	"time"
)

// Config holds the bounds of the relay. Start from [DefaultConfig].
type Config struct {
	// DestinationBytes is how much may wait for one destination of an upload before the client
	// is made to wait. One message more may be there, of whatever size.
	DestinationBytes int
	// TotalBytes is how much may wait for all destinations of all uploads. Beyond it each
	// destination may hold one message.
	TotalBytes int
	// Patience is how long one destination may make the client wait without a pause. In all it
	// may take as long, and the time that the upload takes at Pace bytes a second: a node that
	// is slower than the primary, but not slow, is waited for, one that stands still is ejected.
	Patience time.Duration
	Pace     int
	// DrainAborted is how long nodes are given to end a call that was aborted.
	DrainAborted time.Duration
	// Drain is how long they are given to end a call that was answered already.
	Drain time.Duration
	// DrainLocked is how long a node that may hold locks is given before its call is cancelled
	// nevertheless.
	DrainLocked time.Duration
	// Draining is the number of calls that may be draining at a time. Beyond it no write is
	// started.
	Draining int
}

// DefaultConfig returns: 4 MiB for a destination and 256 MiB in all, 2 s of patience and
// 8 MiB a second of pace, 10 s and 30 s to drain, 6 min with locks, 8192 calls draining.
func DefaultConfig() Config {
	return Config{
		// As much as the largest message, so that receiving one overlaps with sending another,
		// and as the steps in which the library opens its largest window.
		DestinationBytes: 4 << 20,
		// A small part of the memory of a machine that proxies; 64 uploads at full budget.
		TotalBytes: 256 << 20,
		// Longer than a pause of a healthy node (garbage collection, a slow fsync), shorter
		// than people notice in a push that takes a while.
		Patience: 2 * time.Second,
		// A fraction of what git indexes on an idle machine, and about what a large push from
		// outside a data centre arrives with.
		Pace: 8 << 20,
		// A node ends an aborted call within milliseconds unless it is sick.
		DrainAborted: 10 * time.Second,
		Drain:        30 * time.Second,
		// A node gives up a vote after 5 minutes and then removes its locks itself.
		DrainLocked: 6 * time.Minute,
		// A node whose disk hangs while it answers health checks keeps one call for each
		// repository that is written to. This allows 20 of them a second, for as long as a call
		// with locks may take, at some 30 KiB each.
		Draining: 8192,
	}
}

// Validate reports a bound that cannot work. The error matches [ErrInvalidConfig].
func (c Config) Validate() error {
	for _, bound := range []struct {
		name  string
		value int64
	}{
		{"destination bytes", int64(c.DestinationBytes)},
		{"total bytes", int64(c.TotalBytes)},
		{"patience", int64(c.Patience)},
		{"pace", int64(c.Pace)},
		{"drain of aborted calls", int64(c.DrainAborted)},
		{"drain", int64(c.Drain)},
		{"drain of calls with locks", int64(c.DrainLocked)},
		{"number of draining calls", int64(c.Draining)},
	} {
		if bound.value <= 0 {
			return fmt.Errorf("%w: %s must be positive", ErrInvalidConfig, bound.name)
		}
	}
	return nil
}
