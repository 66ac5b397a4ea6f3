package fault

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// gapMin and gapMax are the time between two faults of a lane.
	gapMin = 200 * time.Millisecond
	gapMax = 1500 * time.Millisecond
	// calmWait bounds the wait for repairs, calmPoll is how often is asked.
	calmWait = 20 * time.Second
	calmPoll = 200 * time.Millisecond
)

// move is a fault as a lane knows it: it chooses whom it hits.
type move struct {
	// kind is what it adds to; that of a duet is one of those that it adds to.
	kind Kind
	play func(ctx context.Context, random *rand.Rand) error
}

// lane breaks one thing at a time.
type lane struct {
	moves  []move
	random *rand.Rand
	// turn is held while something is broken.
	turn sync.Mutex
	// calm, if set, is waited for before each fault.
	calm func(ctx context.Context) bool
	// wanted tells whether more of a kind is wanted; moves of other kinds are left out.
	wanted func(Kind) bool
}

// run makes all wanted moves in random order, again and again.
func (l *lane) run(ctx context.Context) error {
	for {
		for _, i := range l.random.Perm(len(l.moves)) {
			pause(ctx, between(l.random, gapMin, gapMax))
			if !l.wanted(l.moves[i].kind) {
				continue
			}
			l.awaitCalm(ctx)
			if err := l.move(ctx, i); err != nil {
				return err
			}
		}
		if over(ctx) {
			return nil
		}
	}
}

// move makes a move, unless the run is over.
func (l *lane) move(ctx context.Context, i int) error {
	l.turn.Lock()
	defer l.turn.Unlock()
	if over(ctx) {
		return nil
	}

	return l.moves[i].play(ctx, l.random)
}

// over tells whether a context has ended.
func over(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

func (l *lane) awaitCalm(ctx context.Context) {
	if l.calm == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, calmWait)
	defer cancel()
	for ctx.Err() == nil && !l.calm(ctx) {
		pause(ctx, calmPoll)
	}
}

// between chooses a time.
func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(random.Int64N(int64(most-least)+1))
}

// mostlyShort chooses a time, a quarter of the range or less in half of all cases.
func mostlyShort(random *rand.Rand, least, most time.Duration) time.Duration {
	share := random.Float64()

	return least + time.Duration(share*share*float64(most-least))
}

func choose[T any](random *rand.Rand, from []T) T { return from[random.IntN(len(from))] }
