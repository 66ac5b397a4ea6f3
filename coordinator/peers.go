package coordinator

import (
	"context"
	"errors"
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
	// recentMax and recentAge bound what is remembered of records: more than a store that fails
	// over can lose.
	recentMax = 10_000
	recentAge = 10 * time.Minute
)

// recent remembers which repositories were written to lately.
type recent struct {
	mu     sync.Mutex // guards the fields below
	writes map[RepositoryID]recentWrite
	order  []RepositoryID
}

// recentWrite is the last write of a repository.
type recentWrite struct {
	group *group
	at    time.Time
}

func newRecent() *recent { return &recent{writes: map[RepositoryID]recentWrite{}} }

func (r *recent) add(id RepositoryID, group *group) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.writes[id]; !known {
		r.order = append(r.order, id)
	}
	r.writes[id] = recentWrite{group: group, at: now}
	for len(r.order) > recentMax {
		delete(r.writes, r.order[0])
		r.order = r.order[1:]
	}
}

// list returns the storages of each repository.
func (r *recent) list() map[RepositoryID][]Storage {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := map[RepositoryID][]Storage{}
	for id, write := range r.writes {
		if time.Since(write.at) <= recentAge {
			found[id] = write.group.config.Storages
		}
	}
	return found
}

// TailLost has the repositories compared that were written to lately: the store may have lost its
// latest statements, and with them who missed a write.
func (c *Coordinator) TailLost(ctx context.Context) {
	for id, storages := range c.recent.list() {
		err := c.store.Settle(ctx, id, Settling{Storages: storages})
		if err != nil && !errors.Is(err, ErrRepositoryNotFound) {
			c.log.Warn("comparison of replicas is not scheduled",
				zap.Int64("repository_id", int64(id)), zap.Error(err))
		}
	}
}
