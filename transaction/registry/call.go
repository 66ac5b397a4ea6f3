package registry

import (
	"context"
	"fmt"
	"time"

	"praefect/transaction"
)

// call is a vote that waits for its decision.
type call struct {
	phase transaction.Phase
	vote  transaction.Vote
	since time.Time
	// waiting counts those that wait for the same vote: a node may repeat a vote whose first call
	// it has lost.
	waiting int
	// decision is valid once done is closed.
	decision transaction.Decision
	done     chan struct{}
}

// ballot is one vote of a voter.
type ballot struct {
	voter transaction.Voter
	phase transaction.Phase
	vote  transaction.Vote
}

// cast votes and waits for the decision. When ctx ends first the voter counts as lost, since
// nobody can tell what its node does next, and the context's error is returned. It fails with
// [transaction.ErrUnknownVoter], and with [transaction.ErrVotePending] when the voter waits with
// another vote. The same vote again joins the one that waits.
func (l *Live) cast(ctx context.Context, b ballot) (transaction.Decision, error) {
	var c *call
	var err error
	l.step(func() { c, err = l.enter(b) })
	if err != nil {
		return 0, err
	}
	decision, err := l.decision(ctx, b.voter, c)
	l.observer.Voted(c.since, Voted{
		Voter: b.voter, Phase: b.phase, Vote: b.vote, Decision: decision, Err: err,
	})
	return decision, err
}

// decision waits for what a vote is answered.
func (l *Live) decision(
	ctx context.Context, voter transaction.Voter, c *call,
) (transaction.Decision, error) {
	select {
	case <-c.done:
		return c.decision, nil
	case <-ctx.Done():
		return l.withdraw(ctx, voter, c)
	}
}

// enter files a vote; l.mu is held.
func (l *Live) enter(b ballot) (*call, error) {
	s := l.seat(b.voter)
	if s == nil {
		return nil, fmt.Errorf("%w: %q", transaction.ErrUnknownVoter, b.voter)
	}
	if c := s.call; c != nil && c.phase == b.phase && c.vote == b.vote {
		c.waiting++
		return c, nil
	}
	now := time.Now()
	if _, err := l.tx.Cast(b.voter, b.phase, b.vote); err != nil {
		return nil, fmt.Errorf("cast vote: %w", err)
	}
	if b.phase == transaction.Prepared || b.phase == transaction.Preparing {
		s.locks = true
	}
	if b.phase == transaction.Committed && b.vote != (transaction.Vote{}) {
		l.observeLag(s, now)
	}
	l.registry.metrics.started.Inc()
	s.call = &call{
		phase: b.phase, vote: b.vote, since: now, waiting: 1, done: make(chan struct{}),
	}
	return s.call, nil
}

// withdraw takes a vote back, unless it was decided meanwhile or somebody else waits for it too.
func (l *Live) withdraw(
	ctx context.Context, voter transaction.Voter, c *call,
) (transaction.Decision, error) {
	decided := false
	l.step(func() {
		c.waiting--
		s := l.seat(voter)
		decided = s.call != c
		if !decided && c.waiting == 0 {
			l.tx.Lost(voter)
		}
	})
	if decided {
		return c.decision, nil
	}
	l.registry.metrics.canceled.Inc()
	return 0, fmt.Errorf("wait for decision: %w", ctx.Err())
}

// deliver hands a decision to the vote that waits for it; l.mu is held.
func (l *Live) deliver(a transaction.Answer) {
	s := l.seat(a.Voter)
	c := s.call // a voter has one vote at a time, and it stays here until it is answered
	s.call = nil
	c.decision = a.Decision
	close(c.done)
	l.registry.metrics.decided(a.Phase, a.Decision)
	l.registry.metrics.waited(c.since)
}
