package health

import (
	"fmt"
	"time"
)

// Defaults of [Config].
const (
	defaultInterval = time.Second
	defaultTimeout  = time.Second
	// defaultMisses: the second miss in a row means two seconds without an answer.
	defaultMisses = 2
)

// Config tunes the checks. The zero value of a field means its default.
type Config struct {
	// Interval is the time from the begin of one round to that of the next. Default 1 s.
	Interval time.Duration
	// Timeout is how long a node may take to answer. Default 1 s.
	Timeout time.Duration
	// Misses is how many unanswered checks in a row make a storage unhealthy. Default 2.
	Misses int
	// LatencyBuckets are the upper bounds in seconds of the histogram of answers. Default: those of
	// the Prometheus library.
	LatencyBuckets []float64
}

func (c Config) withDefaults() Config {
	if c.Interval == 0 {
		c.Interval = defaultInterval
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Misses == 0 {
		c.Misses = defaultMisses
	}
	return c
}

// Validate refuses negative values.
func (c Config) Validate() error {
	if c.Interval < 0 || c.Timeout < 0 || c.Misses < 0 {
		return fmt.Errorf("%w: interval %v, timeout %v, misses %d",
			ErrInvalidConfig, c.Interval, c.Timeout, c.Misses)
	}
	return nil
}
