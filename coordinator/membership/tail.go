package membership

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// suspicionPause is how often a lease that was refused counts as a sign of lost statements: two
// processes of the same name refuse each other all the time.
const suspicionPause = time.Minute

// tail finds out that the store may have lost its latest statements. Its fields but the channel
// belong to the goroutine that keeps the lease.
type tail struct {
	// suspected says that an incarnation ended of which the store should have known.
	suspected bool
	last      time.Time
	// lost receives a value for each loss; one is enough, as all recent writes are compared.
	lost chan struct{}
}

func newTail() *tail { return &tail{lost: make(chan struct{}, 1)} }

// suspect notes that the store refused a lease that should have held. That may be told only when
// the store has answered again, so that one failover counts once.
func (t *tail) suspect() {
	if t.last.IsZero() || time.Since(t.last) >= suspicionPause {
		t.suspected, t.last = true, time.Now()
	}
}

// compare looks at the timeline of the store as a new incarnation begins.
func (t *tail) compare(before, now string) {
	if t.suspected || (before != "" && before != now) {
		t.suspected = false
		wake(t.lost)
	}
}

// tell passes losses on until the context ends.
func (t *tail) tell(ctx context.Context, to Tail, log *zap.Logger) {
	for {
		select {
		case <-t.lost:
			log.Warn("store may have lost its latest statements, comparing recent writes")
			to.TailLost(ctx)
		case <-ctx.Done():
			return
		}
	}
}
