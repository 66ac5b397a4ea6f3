package proxy

import (
	"fmt"
	"time"
)

// Defaults of [Config].
const (
	// defaultGrace is twice what healthy nodes drift apart, with room for one slow fsync.
	defaultGrace = 500 * time.Millisecond
	// defaultCopies is how long votes are waited for as well.
	defaultCopies = 30 * time.Second
	// defaultSettle is above the sum of what votes and records are given themselves, so that it
	// ends the wait for an outcome only when those bounds failed.
	defaultSettle = 2 * time.Minute
	// defaultRequestBytes holds a tree of custom hooks, or a hundred thousand references.
	defaultRequestBytes = 32 << 20
	// defaultRequestsBytes is as much as waits for nodes in all uploads: see [relay.Config].
	defaultRequestsBytes = 256 << 20
	// defaultTries asks every replica of an ordinary cluster once.
	defaultTries = 3
)

// Config bounds what the handler waits for and keeps. The zero value of a field means its
// default.
type Config struct {
	// Grace is how long secondaries are waited for after enough nodes, the primary among them,
	// ended a write on which nobody voted: their end is the only evidence then. Default 500 ms.
	// It is ten times as long in calls that do not hold the turn, as fetches.
	Grace time.Duration
	// Copies is how long it may take after the primary until these are enough. Default 30 s.
	Copies time.Duration
	// Settle bounds the wait for the outcome of a write after the primary has ended it.
	// Default 2 min.
	Settle time.Duration
	// RequestBytes bounds a request that has to be received whole because no node may see it
	// before the turn is held. Default 32 MiB.
	RequestBytes int
	// RequestsBytes bounds all such requests together. Default 256 MiB.
	RequestsBytes int
	// Tries is how many replicas a read is carried to. Default 3.
	Tries int
	// Features are the values of feature flags that clients do not send, by name, so that all nodes
	// of a call have the same. They add to, and replace, those of the existing Praefect.
	Features map[string]bool
}

// WithDefaults returns c with defaults in place of what is zero.
func (c Config) WithDefaults() Config {
	if c.Grace == 0 {
		c.Grace = defaultGrace
	}
	if c.Copies == 0 {
		c.Copies = defaultCopies
	}
	if c.Settle == 0 {
		c.Settle = defaultSettle
	}
	if c.RequestBytes == 0 {
		c.RequestBytes = defaultRequestBytes
	}
	if c.RequestsBytes == 0 {
		c.RequestsBytes = defaultRequestsBytes
	}
	if c.Tries == 0 {
		c.Tries = defaultTries
	}
	return c
}

// Validate reports a bound that cannot work. The error matches [ErrInvalidConfig].
func (c Config) Validate() error {
	for _, bound := range []struct {
		name  string
		value int64
	}{
		{"grace", int64(c.Grace)},
		{"wait for copies", int64(c.Copies)},
		{"settle", int64(c.Settle)},
		{"request bytes", int64(c.RequestBytes)},
		{"bytes of all requests", int64(c.RequestsBytes)},
		{"tries", int64(c.Tries)},
	} {
		if bound.value < 0 {
			return fmt.Errorf("%w: %s is negative", ErrInvalidConfig, bound.name)
		}
	}
	return validateFeatures(c.Features)
}
