package node

import (
	"errors"
	"fmt"
	"time"
)

// Config describes a node.
type Config struct {
	// Storage is the name of the storage, Directory where it lies. The directory must exist.
	Storage   string
	Directory string
	// Token is the secret that callers share; empty lets everybody in.
	Token string
	// HooksBinary is the path of cmd/praefect-hooks, which Git runs.
	HooksBinary string
	// GitBinary is the Git program, by default "git" from PATH.
	GitBinary string
	// VoteTimeout bounds the wait for the verdict on one vote. Default: 5 min.
	VoteTimeout time.Duration
	// StopTimeout is how long calls may go on when the node is told to stop. Then they are
	// cancelled; changes that hold locks undo themselves. Default: 10 s.
	StopTimeout time.Duration
	// NoSync leaves it to the operating system when a change reaches the disk. A power cut then
	// loses acknowledged changes; only for tests.
	NoSync bool
}

const (
	voteTimeoutDefault = 5 * time.Minute
	stopTimeoutDefault = 10 * time.Second
)

// withDefaults returns the configuration with every field set, or what is missing.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	for _, field := range []struct{ name, value string }{
		{"storage", c.Storage}, {"directory", c.Directory}, {"hooks binary", c.HooksBinary},
	} {
		if field.value == "" {
			errs = append(errs, fmt.Errorf("%w: %s", ErrNotConfigured, field.name))
		}
	}
	if c.VoteTimeout == 0 {
		c.VoteTimeout = voteTimeoutDefault
	}
	if c.StopTimeout == 0 {
		c.StopTimeout = stopTimeoutDefault
	}

	return c, errors.Join(errs...)
}
