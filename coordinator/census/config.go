package census

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// Defaults of [Config].
const (
	defaultTimeout  = 10 * time.Second
	defaultPause    = 5 * time.Second
	defaultPatience = time.Second
	// defaultStale: a few scrapes a minute apart.
	defaultStale = 5 * time.Minute
)

// share is which part of its time the database may count.
const share = 10

// ErrInvalidConfig says that a value of the [Config] is negative.
var ErrInvalidConfig = errors.New("invalid configuration of counts")

// Config tunes a [Census]. The zero value of a field means its default.
type Config struct {
	// Interval is how old the last look at a replica may become. Zero and below: nobody looks, and
	// what is due is not counted.
	Interval time.Duration
	// Timeout bounds one count. Default 10 s.
	Timeout time.Duration
	// Pause is the least time from one count to the next. Default 5 s.
	Pause time.Duration
	// Patience bounds how long a scrape waits for a count. Default 1 s.
	Patience time.Duration
	// Stale is the age from which a count is not shown any more. Default 5 min.
	Stale time.Duration
}

func (c Config) withDefaults() Config {
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	c.Pause = cmp.Or(c.Pause, defaultPause)
	c.Patience = cmp.Or(c.Patience, defaultPatience)
	c.Stale = cmp.Or(c.Stale, defaultStale)
	return c
}

func (c Config) validate() error {
	if c.Timeout < 0 || c.Pause < 0 || c.Patience < 0 || c.Stale < 0 {
		return fmt.Errorf("%w: %+v", ErrInvalidConfig, c)
	}
	return nil
}
