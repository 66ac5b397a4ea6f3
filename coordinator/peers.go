package coordinator

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"praefect/transaction/failpoint"
)

// Invalidate makes sure that no route of the repository that was loaded before is used by a reader
// that comes after. Another process has changed the metadata.
func (c *Coordinator) Invalidate(key Key) {
	if group := c.groups[key.VirtualStorage]; group != nil {
		group.routes.invalidate(key.RelativePath)
	}
}

// Forget gives up all cached routes, as a new incarnation begins.
func (c *Coordinator) Forget() {
	for _, group := range c.groups {
		group.routes.forget()
	}
}

// Notify takes note of what other processes do about turns.
func (c *Coordinator) Notify(notice Notice) {
	switch notice.Kind {
	case NoticeTurnWanted:
		c.lines.want(notice.Repository)
	case NoticeTurnFree:
		c.lines.free(notice.Repository)
	case NoticeTurnLeft:
		wake(c.turnsLeft)
	case NoticeInvalidated:
	}
}

// awaitAcknowledged waits until no process uses a route any more that was changed: each has said
// so, or has lost its lease. If they cannot be asked, the leases have run out, or were renewed and
// the invalidation seen, after a known time.
func (c *Coordinator) awaitAcknowledged(ctx context.Context, awaited Sequence) {
	if awaited == 0 || failpoint.Sabotaged(failpoint.InvalidationNotAwaited) {
		return
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.config.LeaseEnd)
	defer cancel()
	err := c.peers.AwaitAcknowledged(bounded, awaited)
	if err == nil {
		return
	}
	c.log.Warn("waiting for the leases of other proxies to run out", zap.Error(err),
		zap.Int64("invalidation", int64(awaited)))
	<-bounded.Done()
}

const (
	// recentMax and recentAge say of how many repositories, and for how long, records are
	// remembered: more than a store that fails over can lose. For a moment there may be twice as
	// many.
	recentMax = 10_000
	recentAge = 10 * time.Minute
)

// recent remembers which repositories were written to lately.
type recent struct {
	mu     sync.Mutex // guards the fields below
	writes map[RepositoryID]recentWrite
	// order has the repository of each write, the latest last; see [recent.compact].
	order []RepositoryID
}

// recentWrite is the last write of a repository.
type recentWrite struct {
	kept Kept
	// asked are all that may hold something of the repository.
	asked []Storage
	at    time.Time
	// place is where it is in the order.
	place int
}

func newRecent() *recent { return &recent{writes: map[RepositoryID]recentWrite{}} }

func (r *recent) add(kept Kept, asked []Storage) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writes[kept.Repository] = recentWrite{
		kept: kept, asked: asked, at: now, place: len(r.order),
	}
	r.order = append(r.order, kept.Repository)
	if len(r.order) >= 2*recentMax {
		r.compact()
	}
}

// compact forgets the repositories whose last write is the longest ago, and of the others all
// writes but the last. It is done once in many writes, as it looks at all of them.
func (r *recent) compact() {
	latest := r.latest()
	surplus := max(0, len(latest)-recentMax)
	for _, id := range latest[:surplus] {
		delete(r.writes, id)
	}
	r.order = append(r.order[:0], latest[surplus:]...)
	for place, id := range r.order {
		write := r.writes[id]
		write.place = place
		r.writes[id] = write
	}
}

// latest lists each repository once, in the order of their last writes.
func (r *recent) latest() []RepositoryID {
	latest := make([]RepositoryID, 0, len(r.writes))
	for place, id := range r.order {
		if r.writes[id].place == place {
			latest = append(latest, id)
		}
	}
	return latest
}

// confirm adds a holder that was late.
func (r *recent) confirm(late LateConfirmation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	write, known := r.writes[late.Repository]
	if known && write.kept.Epoch == late.Epoch && write.kept.Generation == late.Generation {
		write.kept.Holders = append(slices.Clone(write.kept.Holders), late.Storage)
		r.writes[late.Repository] = write
	}
}

// list returns what is not too old.
func (r *recent) list() []recentWrite {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []recentWrite
	for _, id := range r.latest() {
		if write := r.writes[id]; time.Since(write.at) <= recentAge {
			found = append(found, write)
		}
	}
	return found
}

// TailLost has the repositories put in order that were written to lately: the store may have lost
// its latest statements, and with them who missed a write. What this proxy has recorded is
// recorded again where it is gone, since a comparison alone would believe whoever was primary
// before. Then replicas are compared. It goes on until the store has answered for each of them, or
// the context ends.
func (c *Coordinator) TailLost(ctx context.Context) {
	pause := c.random.Backoff(recordPauseMin, recordPauseMax)
	for _, write := range c.recent.list() {
		pause.Reset()
		for !c.restore(ctx, write) {
			select {
			case <-time.After(pause.NextBackOff()):
			case <-ctx.Done():
				return
			}
		}
	}
}

// restore puts one write in order. It returns false if the store did not answer.
func (c *Coordinator) restore(ctx context.Context, write recentWrite) bool {
	id := zap.Int64("repository_id", int64(write.kept.Repository))
	restored, err := c.store.Restore(ctx, write.kept)
	if err != nil {
		c.log.Error("record that may be lost is not restored", id, zap.Error(err))
		if errors.Is(err, ErrMetadataUnavailable) {
			return false
		}
	}
	if restored {
		c.log.Warn("record that the database had lost is restored", id,
			zap.Int64("generation", int64(write.kept.Generation)))
	}
	err = c.store.Settle(ctx, write.kept.Repository, Settling{Storages: write.asked})
	if err != nil && !errors.Is(err, ErrRepositoryNotFound) {
		c.log.Warn("comparison of replicas is not scheduled", id, zap.Error(err))
	}
	return !errors.Is(err, ErrMetadataUnavailable)
}
