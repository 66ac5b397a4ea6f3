package registry

import (
	"fmt"
	"time"
)

// Config bounds the waits of transactions. The zero value means the defaults.
type Config struct {
	// TurnWait is how long a call waits for the repository's turn while no node holds locks for
	// it. Default 10 s.
	TurnWait time.Duration
	// TurnWaitLocked is the same while nodes hold locks. Default 2 s.
	TurnWaitLocked time.Duration
	// VoteTimeout is how long others wait for a voter's next vote before it is ejected. Default
	// 30 s.
	VoteTimeout time.Duration
	// GraceMin and GraceMax bound the wait for voters that are not finished while enough others
	// are: twice the node's usual lag. Default 50 ms to 500 ms.
	GraceMin, GraceMax time.Duration
	// RecordTimeout is how long writing an outcome may take, with all repetitions of the Writer,
	// before it counts as unknown. Default 30 s.
	RecordTimeout time.Duration
	// ConfirmTimeout is how long taking a straggler back in may take. Default 5 s.
	ConfirmTimeout time.Duration
	// LatencyBuckets are the upper bounds in seconds of the histogram of votes' delays. Default:
	// those of the Prometheus library.
	LatencyBuckets []float64
	// VotersMax is how many voters a transaction may have, for a histogram. Default 8.
	VotersMax int
}

// Defaults of Config.
const (
	defaultTurnWait       = 10 * time.Second
	defaultTurnWaitLocked = 2 * time.Second
	defaultVoteTimeout    = 30 * time.Second
	defaultGraceMin       = 50 * time.Millisecond
	defaultGraceMax       = 500 * time.Millisecond
	defaultRecordTimeout  = 30 * time.Second
	defaultConfirmTimeout = 5 * time.Second
	defaultVotersMax      = 8
)

// WithDefaults returns c with defaults in place of what is zero.
func (c Config) WithDefaults() Config {
	for _, field := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&c.TurnWait, defaultTurnWait},
		{&c.TurnWaitLocked, defaultTurnWaitLocked},
		{&c.VoteTimeout, defaultVoteTimeout},
		{&c.GraceMin, defaultGraceMin},
		{&c.GraceMax, defaultGraceMax},
		{&c.RecordTimeout, defaultRecordTimeout},
		{&c.ConfirmTimeout, defaultConfirmTimeout},
	} {
		if *field.value == 0 {
			*field.value = field.fallback
		}
	}
	if c.VotersMax == 0 {
		c.VotersMax = defaultVotersMax
	}
	return c
}

// Validate returns [ErrInvalidConfig], with the field named, when a wait is negative or the
// bounds of the grace are swapped.
func (c Config) Validate() error {
	for _, field := range []struct {
		name  string
		value time.Duration
	}{
		{"turn wait", c.TurnWait},
		{"turn wait with locks", c.TurnWaitLocked},
		{"vote timeout", c.VoteTimeout},
		{"least grace", c.GraceMin},
		{"greatest grace", c.GraceMax},
		{"record timeout", c.RecordTimeout},
		{"confirm timeout", c.ConfirmTimeout},
	} {
		if field.value < 0 {
			return fmt.Errorf("%w: %s of %s", ErrInvalidConfig, field.name, field.value)
		}
	}
	if c.VotersMax < 0 {
		return fmt.Errorf("%w: number of voters of %d", ErrInvalidConfig, c.VotersMax)
	}
	if c.GraceMin > c.GraceMax {
		return fmt.Errorf("%w: least grace %s above greatest %s",
			ErrInvalidConfig, c.GraceMin, c.GraceMax)
	}
	return nil
}
