package membership

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"time"
)

// Defaults of [Config], and parts of its times.
const (
	// defaultLease is how long reads may outlive the store, and nearly how long other proxies wait
	// for one that died.
	defaultLease = 5 * time.Second
	// defaultMargin covers clocks that run at different speeds and the way from a look at the
	// lease to the node.
	defaultMargin = 2 * time.Second
	// defaultResign: a process that ends must not hang on a store that is away.
	defaultResign = 2 * time.Second
	// defaultPoll is a little longer than a notice, an invalidation and its acknowledgement take.
	defaultPoll = 20 * time.Millisecond

	// renewals is how many times a lease is renewed in its time.
	renewals = 10
	// attempts is how many statements in a row may stay without an answer in the time of a lease.
	attempts = 3
	// pageFull is how many invalidations may be only the first of those there are. Stores give more
	// in one answer, and no cluster writes so many while one renewal takes.
	pageFull = 500
	// formerMax is how many attempts to enlist are remembered: more than fit into the time after
	// which they have ended by themselves.
	formerMax = 16
	// pauseMin and pauseMax enclose the pause between attempts to enlist. The first is short since
	// all cached reads wait for it, the last as long as clients of a cluster in trouble can bear.
	pauseMin = 100 * time.Millisecond
	pauseMax = 2 * time.Second
	// pauseListen is how long notices are not received if receiving them fails as a whole.
	pauseListen = time.Second
	// pollsNear is after how many looks for acknowledgements they become rarer: by then some proxy
	// did not get the notice, or is gone.
	pollsNear = 10
	// pollFar is by how much they become rarer.
	pollFar = 5
)

// Config tunes a [Worker]. The zero value of a field means its default.
type Config struct {
	// Name stays the same over restarts and is that of no other proxy: the first lease of a process
	// ends those of the same name, which was left by a process that died. It has no default.
	Name string
	// Successor says that a living process of the same name has started this one to take its place,
	// and ends by itself when its last call has ended. So nothing of that name is ended.
	Successor bool
	// Lease is how long a lease holds without renewal; it is renewed ten times as often.
	// Default 5 s.
	Lease time.Duration
	// Margin is how much longer all others wait. Default 2 s.
	Margin time.Duration
	// Resign bounds the last statement. Default 2 s.
	Resign time.Duration
	// Poll is how often acknowledgements are looked for at first. Default 20 ms.
	Poll time.Duration
	// Clock replaces the clocks of this machine if it is not nil. They must run as fast as the
	// timers of this process, except for what tests want to show.
	Clock Clock
	// Random replaces the randomness of this process if it is not nil. It must be safe for
	// concurrent use.
	Random rand.Source
}

// WithDefaults fills in what is zero.
func (c Config) WithDefaults() Config {
	c.Lease = cmp.Or(c.Lease, defaultLease)
	c.Margin = cmp.Or(c.Margin, defaultMargin)
	c.Resign = cmp.Or(c.Resign, defaultResign)
	c.Poll = cmp.Or(c.Poll, defaultPoll)
	if c.Clock == nil {
		c.Clock = systemClock()
	}
	return c
}

func (c Config) validate() error {
	if c.Name == "" {
		return fmt.Errorf("%w: no name", ErrInvalidConfig)
	}
	if c.Lease < 0 || c.Margin < 0 || c.Resign < 0 || c.Poll < 0 {
		return fmt.Errorf("%w: lease %v, margin %v, resign %v, poll %v",
			ErrInvalidConfig, c.Lease, c.Margin, c.Resign, c.Poll)
	}
	return nil
}

// End is after what time without renewal everybody agrees that a lease is over.
func (c Config) End() time.Duration { return c.WithDefaults().ttl() }

// ttl is the time that the store is given.
func (c Config) ttl() time.Duration { return c.Lease + c.Margin }

func (c Config) period() time.Duration { return c.Lease / renewals }

// timeout bounds one statement.
func (c Config) timeout() time.Duration { return c.Lease / attempts }
