package verify

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// Defaults of [Config].
const (
	defaultPoll    = time.Second
	defaultBatch   = 25
	defaultLease   = 30 * time.Second
	defaultRelease = 10 * time.Second
	defaultCall    = 10 * time.Second
	defaultExact   = 4
	defaultPause   = 10 * time.Minute
)

// ErrInvalidConfig says that a value of the [Config] is negative.
var ErrInvalidConfig = errors.New("invalid verification configuration")

// Config tunes a [Worker]. The zero value of a field means its default.
type Config struct {
	// Interval is how old the last look at a replica may become. Zero and below disable the worker.
	Interval time.Duration
	// Keep only tells which replicas are missing.
	Keep bool
	// Poll is how often due replicas are claimed, Batch how many. Default 1 s and 25.
	Poll  time.Duration
	Batch int
	// Lease is how long a claim holds. Default 30 s.
	Lease time.Duration
	// Release is how often leases are given back that are over. Default 10 s.
	Release time.Duration
	// Call bounds a question to a node. Default 10 s; it should be below half the lease.
	Call time.Duration
	// Exact: each so-manieth comparison of a repository is exact. Default 4.
	Exact int
	// Pause is how long a missing replica whose record is kept is left alone. Default 10 min.
	Pause time.Duration
}

func (c Config) withDefaults() Config {
	c.Poll = cmp.Or(c.Poll, defaultPoll)
	c.Batch = cmp.Or(c.Batch, defaultBatch)
	c.Lease = cmp.Or(c.Lease, defaultLease)
	c.Release = cmp.Or(c.Release, defaultRelease)
	c.Call = cmp.Or(c.Call, defaultCall)
	c.Exact = cmp.Or(c.Exact, defaultExact)
	c.Pause = cmp.Or(c.Pause, defaultPause)
	return c
}

func (c Config) validate() error {
	if c.Poll < 0 || c.Batch < 0 || c.Lease < 0 || c.Release < 0 || c.Call < 0 || c.Exact < 0 ||
		c.Pause < 0 {
		return fmt.Errorf("%w: %+v", ErrInvalidConfig, c)
	}
	return nil
}
