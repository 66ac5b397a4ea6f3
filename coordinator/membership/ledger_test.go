package membership_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"praefect/coordinator"
)

var errAway = errors.New("store is away")

// ledger is a store of members that a test can look into and interfere with.
type ledger struct {
	mu       sync.Mutex // guards the fields below
	members  map[coordinator.Incarnation]*member
	log      []coordinator.Invalidation
	last     coordinator.Sequence
	timeline string
	receive  func(coordinator.Notice)
	// away lets every call fail; stalled makes it last until the caller gives up.
	away, stalled bool
	// page bounds the invalidations that a renewal returns.
	page int
	// calls counts them by name.
	calls map[string]int
	// before and after are called around the effect of a call, without the lock. Both may wait; the
	// effect and the answer come even if the caller has given up.
	before, after func(call string)
	// deaf lets one Listen fail.
	deaf bool
}

type member struct {
	name    string
	end     time.Time
	applied coordinator.Sequence
	healthy map[coordinator.VirtualStorage][]coordinator.Storage
	// resigned says that it ended by itself.
	resigned bool
}

func newLedger() *ledger {
	return &ledger{
		members: map[coordinator.Incarnation]*member{}, timeline: "1", calls: map[string]int{},
		page: 2,
	}
}

// change runs a function under the lock.
func (l *ledger) change(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

// around makes a call whose effect is given, with what the test wants to happen before and after.
func (l *ledger) around(ctx context.Context, call string, effect func() error) error {
	stalled := false
	before, after := func(string) {}, func(string) {}
	l.change(func() {
		l.calls[call]++
		stalled = l.stalled
		if l.before != nil {
			before = l.before
		}
		if l.after != nil {
			after = l.after
		}
	})
	if stalled {
		<-ctx.Done()
		return ctx.Err()
	}
	before(call)
	err := errAway
	l.change(func() {
		if !l.away {
			err = effect()
		}
	})
	after(call)
	return err
}

func (l *ledger) Enlist(
	ctx context.Context, enlistment coordinator.Enlistment,
) (coordinator.Sequence, error) {
	var last coordinator.Sequence
	err := l.around(ctx, "enlist", func() error {
		for incarnation, other := range l.members {
			if enlistment.Replaces && other.name == enlistment.Name ||
				slices.Contains(enlistment.Former, incarnation) {
				delete(l.members, incarnation)
			}
		}
		last = l.last
		l.members[enlistment.Incarnation] = &member{
			name: enlistment.Name, end: time.Now().Add(enlistment.TTL), applied: last,
		}
		return nil
	})
	return last, err
}

func (l *ledger) Renew(
	ctx context.Context, renewal coordinator.Renewal,
) (coordinator.Membership, error) {
	var membership coordinator.Membership
	err := l.around(ctx, "renew", func() error {
		own := l.alive(renewal.Incarnation)
		switch {
		case renewal.Timeline != "" && renewal.Timeline != l.timeline:
			return coordinator.ErrTimelineChanged
		case own == nil:
			return coordinator.ErrLeaseLost
		}
		own.end = time.Now().Add(renewal.TTL)
		own.applied, own.healthy = renewal.Applied, renewal.Healthy
		membership.Timeline = l.timeline
		for _, invalidation := range l.log {
			if invalidation.Sequence > renewal.Applied && len(membership.Invalidations) < l.page {
				membership.Invalidations = append(membership.Invalidations, invalidation)
			}
		}
		for incarnation, other := range l.members {
			membership.Reports = append(membership.Reports, coordinator.Report{
				Incarnation: incarnation, Name: other.name, Healthy: other.healthy,
			})
		}
		return nil
	})
	return membership, err
}

func (l *ledger) alive(incarnation coordinator.Incarnation) *member {
	if own := l.members[incarnation]; own != nil && own.end.After(time.Now()) && !own.resigned {
		return own
	}
	return nil
}

func (l *ledger) Acknowledge(
	ctx context.Context, acknowledgement coordinator.Acknowledgement,
) error {
	return l.around(ctx, "acknowledge", func() error {
		own := l.alive(acknowledgement.Incarnation)
		if own == nil || acknowledgement.Timeline != l.timeline {
			return coordinator.ErrLeaseLost
		}
		own.applied = acknowledgement.Applied
		return nil
	})
}

func (l *ledger) Acknowledged(
	ctx context.Context, incarnation coordinator.Incarnation, awaited coordinator.Sequence,
) (bool, error) {
	done := true
	err := l.around(ctx, "acknowledged", func() error {
		for other := range l.members {
			if alive := l.alive(other); alive != nil && other != incarnation {
				done = done && alive.applied >= awaited
			}
		}
		return nil
	})
	return done && err == nil, err
}

func (l *ledger) Resign(ctx context.Context, incarnation coordinator.Incarnation) error {
	return l.around(ctx, "resign", func() error {
		if own := l.alive(incarnation); own != nil {
			own.resigned = true
		}
		return nil
	})
}

func (l *ledger) Listen(ctx context.Context, receive func(coordinator.Notice)) error {
	var deaf bool
	l.change(func() {
		l.calls["listen"]++
		l.receive, deaf, l.deaf = receive, l.deaf, false
	})
	if deaf {
		return errAway
	}
	<-ctx.Done()
	return nil
}

// invalidate adds invalidations and returns the number of the last. Nobody is told.
func (l *ledger) invalidate(paths ...string) coordinator.Sequence {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, path := range paths {
		l.last++
		l.log = append(l.log, coordinator.Invalidation{
			Sequence: l.last,
			Key:      coordinator.Key{VirtualStorage: virtual, RelativePath: path},
		})
	}
	return l.last
}

// notify tells the listener.
func (l *ledger) notify(notice coordinator.Notice) {
	l.mu.Lock()
	receive := l.receive
	l.mu.Unlock()
	receive(notice)
}

func (l *ledger) count(call string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls[call]
}

func (l *ledger) applied(incarnation coordinator.Incarnation) coordinator.Sequence {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.members[incarnation].applied
}

// living are the members that have not ended.
func (l *ledger) living() []coordinator.Incarnation {
	l.mu.Lock()
	defer l.mu.Unlock()
	var living []coordinator.Incarnation
	for incarnation := range l.members {
		if l.alive(incarnation) != nil {
			living = append(living, incarnation)
		}
	}
	slices.Sort(living)
	return living
}
