package coordinator

import (
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Random draws names that are never used twice, choices among equals, and pauses that differ.
// Nothing that is right depends on what is drawn. It keeps no state, so it is safe for concurrent
// use if its source is.
type Random struct{ numbers *rand.Rand }

// NewRandom returns a Random over the source; nil means that of this process, which nobody can
// predict.
func NewRandom(source rand.Source) Random {
	if source == nil {
		source = processSource{}
	}
	return Random{rand.New(source)} //nolint:gosec // these are names, not secrets
}

// processSource is the source of the global functions, and as safe as they are.
type processSource struct{}

// Uint64 implements [rand.Source].
func (processSource) Uint64() uint64 { return rand.Uint64() }

// ID returns a positive number.
func (r Random) ID() int64 { return r.numbers.Int64N(1<<63-1) + 1 }

// IntN returns a number from 0 to n-1; n must be positive.
func (r Random) IntN(n int) int { return r.numbers.IntN(n) }

// Spread returns half to one and a half times the pause, so that what began together is not tried
// together again. The pause must be positive.
func (r Random) Spread(pause time.Duration) time.Duration {
	return pause/2 + time.Duration(r.numbers.Int64N(int64(pause)))
}

// Backoff returns pauses that grow from the first to the last, each spread.
func (r Random) Backoff(first, last time.Duration) backoff.BackOff {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = first, last
	pauses.RandomizationFactor = 0
	return spreading{pauses, r}
}

// spreading spreads the pauses of a back-off.
type spreading struct {
	backoff.BackOff

	random Random
}

// NextBackOff implements [backoff.BackOff].
func (s spreading) NextBackOff() time.Duration { return s.random.Spread(s.BackOff.NextBackOff()) }
