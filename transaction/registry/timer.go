package registry

import (
	"time"

	"go.uber.org/zap"

	"praefect/transaction"
)

// grace is the short wait for voters that are not finished.
type grace struct {
	timer *time.Timer
	// began is when the wait for the last write began: from then on confirmations are late.
	began time.Time
}

// startGrace waits as long as the voters usually need; l.mu is held. There is one such wait at a
// time: the one for the end of the turn comes after those for writes.
func (l *Live) startGrace(g transaction.Grace) {
	l.stopGrace()
	if g.Write != 0 {
		l.grace.began = time.Now()
	}
	l.grace.timer = l.after(l.registry.lags.grace(&g), func() { l.tx.GraceEnded(g.Write) })
}

func (l *Live) stopGrace() {
	l.stop(l.grace.timer)
	l.grace.timer = nil
}

// after lets an event happen later. Finish waits for it unless it is stopped; l.mu is held.
func (l *Live) after(d time.Duration, event func()) *time.Timer {
	l.working++
	return time.AfterFunc(d, func() {
		l.step(func() {
			l.working--
			event()
		})
	})
}

func (l *Live) stop(t *time.Timer) {
	if t != nil && t.Stop() {
		l.working--
	}
}

// await notes whom others wait for; l.mu is held. One timer looks after all of them: to note a
// time for each vote is much cheaper than to set a timer.
func (l *Live) await(awaited []transaction.Awaited) {
	for i := range l.seats {
		l.seats[i].awaited = false
	}
	if len(awaited) > 0 {
		l.noteAwaited(awaited)
	}
	for i := range l.seats {
		if s := &l.seats[i]; !s.awaited {
			s.since = time.Time{}
		}
	}
}

func (l *Live) noteAwaited(awaited []transaction.Awaited) {
	now := time.Now()
	for _, a := range awaited {
		s := l.seat(a.Voter)
		if s.since.IsZero() || s.step != a.Step {
			s.step, s.since = a.Step, now
		}
		s.awaited = true
	}
	if l.watch == nil && !l.finishing {
		l.watch = l.after(l.registry.config.VoteTimeout, l.patrol)
	}
}

// patrol ejects the voters whose time is up and sets the timer for the next; l.mu is held.
func (l *Live) patrol() {
	l.watch = nil
	limit := l.registry.config.VoteTimeout
	now, next := time.Now(), time.Duration(-1)
	for i := range l.seats {
		s := &l.seats[i]
		if !s.awaited || s.ejected {
			continue
		}
		if left := limit - now.Sub(s.since); left > 0 {
			if next < 0 || left < next {
				next = left
			}
			continue
		}
		l.eject(s)
	}
	if next > 0 && !l.finishing {
		l.watch = l.after(next, l.patrol)
	}
}

func (l *Live) eject(s *seat) {
	s.ejected = true
	l.registry.metrics.ejected.Inc()
	l.log.Warn("voter ejected because others wait for its vote",
		zap.Uint64("transaction_id", l.id), zap.String("node", string(s.voter)),
		zap.Duration("limit", l.registry.config.VoteTimeout))
	l.tx.Lost(s.voter)
	l.overdue <- s.voter // never blocks: one place for each voter, one ejection each
}

func (l *Live) stopWatch() {
	l.stop(l.watch)
	l.watch = nil
}
