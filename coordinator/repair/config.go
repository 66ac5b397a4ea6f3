package repair

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"time"
)

// Defaults of [Config].
const (
	// defaultPoll finds what became due without this process knowing.
	defaultPoll = time.Second
	// defaultTarget: a copy is bound by disks and network, and nodes have clients to serve; but one
	// that takes hours must not hold up all others.
	defaultTarget = 2
	// sourceShare is how much more is copied from a storage at once than to it by default: with
	// three replicas two sources fill one target, or one source two targets.
	sourceShare = 2
	// defaultBatch leaves the rest to other proxies.
	defaultBatch = 10
	// defaultClaim is how long a replica of a dead process stays unrepaired.
	defaultClaim = 10 * time.Second
	// defaultCopy is enough for a terabyte at 50 MB/s.
	defaultCopy = 6 * time.Hour
	// defaultJoin lets a push of gigabytes end.
	defaultJoin = 10 * time.Minute
	// defaultHold bounds how long writers wait for the turn behind a last copy.
	defaultHold = 10 * time.Second
	// defaultQuick: what was copied within it cannot have missed much.
	defaultQuick = 2 * time.Second
	// defaultBackoffMin and defaultBackoffMax enclose the pause after a failure.
	defaultBackoffMin = time.Second
	defaultBackoffMax = 15 * time.Second
	// defaultAfresh: twice may be bad luck.
	defaultAfresh = 3

	// lastMax is longer than writers wait for their turn, but then the others could never end.
	lastMax = time.Minute

	// claimRenewals is how often a claim is renewed in its time, so that one lost answer does not
	// lose it.
	claimRenewals = 3
	// claimMargin is the part of a claim's time before its end in which nothing is written any
	// more, for clocks that run at different speeds and nodes that are slow to stop.
	claimMargin = 6
)

// Config tunes a [Worker]. The zero value of a field means its default.
type Config struct {
	// Poll is how often due replicas are looked for without being told. Default 1 s.
	Poll time.Duration
	// PerTarget and PerSource bound the copies to and from one storage at once. Default 2, and
	// twice PerTarget.
	PerTarget, PerSource int
	// Batch bounds how many replicas of one storage are claimed at once. Default 10.
	Batch int
	// Claim is how long the right to repair a replica outlives a process that dies. Default 10 s.
	Claim time.Duration
	// Copy bounds each copy that is made while writes go on. Default 6 h.
	Copy time.Duration
	// Join bounds the wait for writes that were begun before the replica joined. Default 10 min.
	Join time.Duration
	// Hold bounds the wait for the turn, and the last copy under it, unless the copy before it
	// showed that it has to take longer. Default 10 s each.
	Hold time.Duration
	// Quick is how long a first copy may take that is not repeated before the last one.
	// Default 2 s.
	Quick time.Duration
	// BackoffMin and BackoffMax enclose the pause after a failure. Default 1 s and 15 s.
	BackoffMin, BackoffMax time.Duration
	// Afresh is the number of failures after which the replica is removed and copied anew.
	// Default 3.
	Afresh int
	// LatencyBuckets are the upper bounds in seconds of the histograms of repairs, ClaimBuckets
	// those of the histogram of claims. Default: those of the Prometheus library.
	LatencyBuckets, ClaimBuckets []float64
	// Random replaces the randomness of this process if it is not nil. It must be safe for
	// concurrent use.
	Random rand.Source
}

func (c Config) withDefaults() Config {
	c.Poll = cmp.Or(c.Poll, defaultPoll)
	c.PerTarget = cmp.Or(c.PerTarget, defaultTarget)
	c.PerSource = cmp.Or(c.PerSource, sourceShare*c.PerTarget)
	c.Batch = cmp.Or(c.Batch, defaultBatch)
	c.Claim = cmp.Or(c.Claim, defaultClaim)
	c.Copy = cmp.Or(c.Copy, defaultCopy)
	c.Join = cmp.Or(c.Join, defaultJoin)
	c.Hold = cmp.Or(c.Hold, defaultHold)
	c.Quick = cmp.Or(c.Quick, defaultQuick)
	c.BackoffMin = cmp.Or(c.BackoffMin, defaultBackoffMin)
	c.BackoffMax = cmp.Or(c.BackoffMax, defaultBackoffMax)
	c.Afresh = cmp.Or(c.Afresh, defaultAfresh)
	return c
}

// validate refuses negative values, and pauses that shrink.
func (c Config) validate() error {
	for name, value := range map[string]int64{
		"poll": int64(c.Poll), "copies per target": int64(c.PerTarget),
		"copies per source": int64(c.PerSource), "batch": int64(c.Batch),
		"claim": int64(c.Claim), "copy": int64(c.Copy), "join": int64(c.Join),
		"hold": int64(c.Hold), "quick": int64(c.Quick), "back-off": int64(c.BackoffMin),
		"failures": int64(c.Afresh),
	} {
		if value < 0 {
			return fmt.Errorf("%w: %s is negative", ErrInvalidConfig, name)
		}
	}
	if c.BackoffMax < c.BackoffMin {
		return fmt.Errorf("%w: back-off ends before it begins", ErrInvalidConfig)
	}
	return nil
}

// last bounds the last copy, by what the one before took: even if there is nothing to do, a copy of
// a large repository takes its time.
func (c Config) last(before time.Duration) time.Duration {
	return max(c.Hold, min(2*before, lastMax))
}

// pause is the back-off after so many failures, doubled each time.
func (c Config) pause(failures int) time.Duration {
	pause := c.BackoffMin
	for range failures {
		if pause *= 2; pause >= c.BackoffMax {
			pause = c.BackoffMax
			break
		}
	}
	return pause
}
