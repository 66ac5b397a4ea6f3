package history

import "time"

// Config says how patient the checks are. The zero value of every field has a default.
type Config struct {
	// Settle is how long after its end a change that was not acknowledged may still be under way
	// on a node. Default: 20 s.
	Settle time.Duration
	// Patience bounds the search for an order of the operations on one register. Default: 30 s.
	Patience time.Duration
}

const (
	settleDefault   = 20 * time.Second
	patienceDefault = 30 * time.Second
)

func (c Config) withDefaults() Config {
	if c.Settle == 0 {
		c.Settle = settleDefault
	}
	if c.Patience == 0 {
		c.Patience = patienceDefault
	}

	return c
}
