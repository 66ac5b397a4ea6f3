package recovery

import (
	"cmp"
	"fmt"
	"time"
)

// Defaults of [Config].
const (
	// defaultPoll finds turns whose process is gone, of which nobody tells.
	defaultPoll = 500 * time.Millisecond
	// defaultRecoveries and defaultVerifications: each asks all nodes of a repository at once, and
	// nodes have clients to serve. Writers wait for the former.
	defaultRecoveries    = 16
	defaultVerifications = 4
	// defaultSettle is longer than a commit that was promised takes to reach a disk.
	defaultSettle = 2 * time.Second
	// defaultPatience gives a node that was restarted the time to answer.
	defaultPatience = 5 * time.Second
	// defaultNodeDeadline is a node's own deadline for a vote, 5 min, and a margin.
	defaultNodeDeadline = 5*time.Minute + 30*time.Second
	// defaultAsk is enough for tens of millions of references.
	defaultAsk = time.Minute
	// defaultBackoffMin and defaultBackoffMax enclose the pause before nodes are asked again.
	defaultBackoffMin = 250 * time.Millisecond
	defaultBackoffMax = 3 * time.Second
	// defaultClaim leaves a repository that cannot be judged alone for a while, and one whose judge
	// died not for long.
	defaultClaim = 30 * time.Second
	// defaultHold is how long a verification waits in line with the writers.
	defaultHold = 10 * time.Second
	// defaultRetry is the pause before a verification that writers kept from its turn.
	defaultRetry = 10 * time.Second
)

const (
	// readsMax bounds how often a replica is read until two reads agree. A node commits at most
	// once for a turn, so that a third read agrees with the second, unless it does not behave.
	readsMax = 4
	// adoptionsAtOnce bounds the turns that are adopted at once, so that all proxies that live get
	// their share of what a proxy has left that died with many writes under way.
	adoptionsAtOnce = 100
	// adoptionsMax bounds the turns that a process has adopted. Most of so many wait for nodes that
	// are away.
	adoptionsMax = 10_000
	// watchPoll is how often the health of a node is looked at while it is asked.
	watchPoll = 500 * time.Millisecond
	// statementMax bounds the statement that ends a verification, so that the turn is given back.
	statementMax = 5 * time.Second
)

// Config tunes a [Worker]. The zero value of a field means its default.
type Config struct {
	// Poll is how often work is looked for without being told. Default 500 ms.
	Poll time.Duration
	// Recoveries and Verifications bound the repositories whose replicas are asked at once.
	// Default 16 and 4.
	Recoveries, Verifications int
	// Settle is the time between two reads of a replica that must agree when its node may still be
	// at work. Default 2 s.
	Settle time.Duration
	// Patience is how long a recovery waits for a participant before it goes by the replicas that
	// were left out of the write. Default 5 s.
	Patience time.Duration
	// NodeDeadline is after what time a node does nothing more for a write that nobody speaks to it
	// about. Default 5 min 30 s.
	NodeDeadline time.Duration
	// Ask bounds the wait for one digest. Default 1 min.
	Ask time.Duration
	// BackoffMin and BackoffMax enclose the pause before nodes are asked again that did not
	// answer. Default 250 ms and 3 s.
	BackoffMin, BackoffMax time.Duration
	// Claim is how long a repository is left to the process that verifies it, and so the pause
	// before one is verified again that could not be judged. Default 30 s.
	Claim time.Duration
	// Hold bounds how long a verification waits for the turn. Default 10 s.
	Hold time.Duration
	// Retry is the pause before a verification is tried again that did not get the turn, or was
	// disturbed under it. Default 10 s.
	Retry time.Duration
}

func (c Config) withDefaults() Config {
	c.Poll = cmp.Or(c.Poll, defaultPoll)
	c.Recoveries = cmp.Or(c.Recoveries, defaultRecoveries)
	c.Verifications = cmp.Or(c.Verifications, defaultVerifications)
	c.Settle = cmp.Or(c.Settle, defaultSettle)
	c.Patience = cmp.Or(c.Patience, defaultPatience)
	c.NodeDeadline = cmp.Or(c.NodeDeadline, defaultNodeDeadline)
	c.Ask = cmp.Or(c.Ask, defaultAsk)
	c.BackoffMin = cmp.Or(c.BackoffMin, defaultBackoffMin)
	c.BackoffMax = cmp.Or(c.BackoffMax, defaultBackoffMax)
	c.Claim = cmp.Or(c.Claim, defaultClaim)
	c.Hold = cmp.Or(c.Hold, defaultHold)
	c.Retry = cmp.Or(c.Retry, defaultRetry)
	return c
}

// validate refuses negative values, and pauses that shrink.
func (c Config) validate() error {
	for name, value := range map[string]int64{
		"poll": int64(c.Poll), "recoveries": int64(c.Recoveries),
		"verifications": int64(c.Verifications), "settle": int64(c.Settle),
		"patience": int64(c.Patience), "node deadline": int64(c.NodeDeadline),
		"ask": int64(c.Ask), "back-off": int64(c.BackoffMin), "claim": int64(c.Claim),
		"hold": int64(c.Hold), "retry": int64(c.Retry),
	} {
		if value < 0 {
			return fmt.Errorf("%w: %s is negative", ErrInvalidConfig, name)
		}
	}
	if c.BackoffMax < c.BackoffMin {
		return fmt.Errorf("%w: back-off ends before it begins", ErrInvalidConfig)
	}
	if c.Claim <= c.Hold {
		return fmt.Errorf("%w: a claim ends before the turn has come", ErrInvalidConfig)
	}
	return nil
}
