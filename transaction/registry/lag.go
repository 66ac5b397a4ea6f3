package registry

import (
	"sync"
	"time"

	"praefect/transaction"
)

const (
	// lagFirst is assumed of a node that was not seen yet: the upper end of what healthy nodes
	// show.
	lagFirst = 100 * time.Millisecond
	// lagWeight makes an observation count an eighth: a node that becomes slow is waited for
	// after a handful of writes, and one slow write does not change much.
	lagWeight = 8
	// lagNodes bounds the memory if storages come and go; clusters have a few dozen.
	lagNodes = 4096
)

// lags remembers for each node by how much it usually confirms a write after enough others have:
// an exponentially weighted mean.
type lags struct {
	config Config

	mu    sync.Mutex
	usual map[transaction.Voter]time.Duration // guarded by mu
}

func newLags(config Config) *lags {
	return &lags{config: config, usual: make(map[transaction.Voter]time.Duration)}
}

// observe takes in one lag. It is cut at the greatest grace, beyond which nobody waits anyway.
func (l *lags) observe(voter transaction.Voter, lag time.Duration) {
	lag = min(max(lag, 0), l.config.GraceMax)
	l.mu.Lock()
	defer l.mu.Unlock()
	usual, known := l.usual[voter]
	switch {
	case known:
		l.usual[voter] = usual + (lag-usual)/lagWeight
	case len(l.usual) < lagNodes:
		l.usual[voter] = lagFirst + (lag-lagFirst)/lagWeight
	}
}

// grace is how long to wait for the voters of g: twice the usual lag of the slowest. An
// unconfirmed primary is given the greatest grace, since going on without it replaces it.
func (l *lags) grace(g *transaction.Grace) time.Duration {
	if g.Primary && g.Write != 0 {
		return l.config.GraceMax
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	longest := l.config.GraceMin
	for _, voter := range g.Voters {
		usual, known := l.usual[voter]
		if !known {
			usual = lagFirst
		}
		longest = max(longest, 2*usual)
	}
	return min(longest, l.config.GraceMax)
}
