package githttp

import (
	"fmt"
	"time"
)

const (
	// defaultConcurrency bounds the requests in progress. Each holds two buffers of a quarter
	// of a mebibyte at most, so this is about 64 MiB.
	defaultConcurrency = 256

	// defaultIdleTimeout gives slow disks and networks time, and frees the place of a client
	// that vanished without a word.
	defaultIdleTimeout = 5 * time.Minute

	// defaultUserID names the pusher where nothing else does; a push without name is refused
	// by the node.
	defaultUserID = "user-1"
)

// Config configures a [Handler].
type Config struct {
	// Storage is the virtual storage of all repositories that are served. Required.
	Storage string

	// Password is what clients must give by basic authentication, with any user name. When it
	// is empty, everybody is let in.
	Password string

	// UserID names the pusher to the hooks. Default "user-1".
	UserID string

	// Concurrency bounds the requests in progress; more are answered 503. Default 256.
	Concurrency int

	// IdleTimeout is how long a client may neither send nor take a byte that is waited for.
	// Default 5 minutes.
	IdleTimeout time.Duration
}

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	if c.UserID == "" {
		c.UserID = defaultUserID
	}
	if c.Concurrency == 0 {
		c.Concurrency = defaultConcurrency
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = defaultIdleTimeout
	}
	return c
}

// Validate returns an error that matches [ErrConfig] and names the field which is wrong.
func (c Config) Validate() error {
	switch {
	case c.Storage == "":
		return fmt.Errorf("%w: storage is empty", ErrConfig)
	case c.Concurrency < 0:
		return fmt.Errorf("%w: concurrency is negative: %d", ErrConfig, c.Concurrency)
	case c.IdleTimeout < 0:
		return fmt.Errorf("%w: idle timeout is negative: %s", ErrConfig, c.IdleTimeout)
	}
	return nil
}
