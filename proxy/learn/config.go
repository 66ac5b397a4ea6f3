package learn

import (
	"fmt"
	"time"
)

// Defaults of [Config].
const (
	defaultTimeout  = 2 * time.Second
	defaultMaxAge   = 10 * time.Minute
	defaultRetry    = 10 * time.Second
	defaultBytes    = 16 << 20
	defaultServices = 256
)

// Config bounds what is asked and kept. The zero value of a field means its default.
type Config struct {
	// Timeout bounds one question to one node. Default 2 s.
	Timeout time.Duration
	// MaxAge is after how long an answer is renewed although the connection is the same: behind a
	// load balancer that does not mean the same process. Default 10 min.
	MaxAge time.Duration
	// Retry is after how long a node that failed to answer is asked again. Default 10 s.
	Retry time.Duration
	// Bytes bounds the descriptors of one node. Default 16 MiB; Gitaly has half of one.
	Bytes int
	// Services bounds the number of services of one node. Default 256; Gitaly has 25.
	Services int
}

// WithDefaults returns c with defaults in place of what is zero.
func (c Config) WithDefaults() Config {
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.MaxAge == 0 {
		c.MaxAge = defaultMaxAge
	}
	if c.Retry == 0 {
		c.Retry = defaultRetry
	}
	if c.Bytes == 0 {
		c.Bytes = defaultBytes
	}
	if c.Services == 0 {
		c.Services = defaultServices
	}
	return c
}

// Validate reports a bound that cannot work. The error matches [ErrInvalidConfig].
func (c Config) Validate() error {
	for _, bound := range []struct {
		name  string
		value int64
	}{
		{"timeout", int64(c.Timeout)},
		{"max age", int64(c.MaxAge)},
		{"retry", int64(c.Retry)},
		{"bytes", int64(c.Bytes)},
		{"services", int64(c.Services)},
	} {
		if bound.value < 0 {
			return fmt.Errorf("%w: %s is negative", ErrInvalidConfig, bound.name)
		}
	}
	return nil
}
