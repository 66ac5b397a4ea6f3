package coordinator

import (
	"context"
	"fmt"
	"time"

	"praefect/transaction/failpoint"
)

// removalGrace is how long workers leave a removed repository to the call that removes it.
const removalGrace = 15 * time.Second

// Removal is a repository that is gone for clients and still on disks. Whoever began it may remove
// replicas and report them; a worker does the rest, so nothing has to be done.
type Removal struct {
	coordinator *Coordinator
	// Repository is as it was when it became invisible. Replicas that a repair is writing to are
	// not listed: only the worker knows when they may be removed.
	Repository Repository
}

// BeginRemoval makes a repository invisible at once and frees its path. It takes the turn, so that
// no write is between its commit and its record. It returns [ErrRepositoryNotFound] if there is
// none.
func (c *Coordinator) BeginRemoval(ctx context.Context, key Key) (*Removal, error) {
	removal, err := c.beginRemoval(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("begin removal of %s: %w", key, err)
	}
	return removal, nil
}

func (c *Coordinator) beginRemoval(ctx context.Context, key Key) (*Removal, error) {
	group, err := c.group(key.VirtualStorage)
	if err != nil {
		return nil, err
	}
	found, err := group.routes.get(ctx, key.RelativePath)
	if err != nil {
		return nil, err
	}
	in := c.lines.use(found.id)
	defer c.lines.drop(in)
	waiting, cancel := context.WithTimeout(ctx, c.config.TurnWait)
	defer cancel()
	turn, _, err := c.take(waiting, in, Intent{Kind: KindHold})
	if err != nil {
		return nil, err
	}
	defer c.close(ctx, turn)

	defer group.routes.invalidate(key.RelativePath)
	repository, err := c.store.Delete(ctx, Deletion{
		Repository: found.id, Write: turn.intent.Write, Grace: removalGrace,
	})
	if err != nil {
		return nil, err
	}
	failpoint.Hit(failpoint.RowDeleting)
	c.awaitAcknowledged(ctx, repository.Invalidated)
	wake(c.removals)
	return &Removal{coordinator: c, Repository: repository}, nil
}

// Removed says that the replicas on these storages are on no disk any more. With the last of them
// the repository is forgotten.
func (r *Removal) Removed(ctx context.Context, storages []Storage) error {
	failpoint.Hit(failpoint.ReplicasRemoved)
	if err := r.coordinator.store.Removed(ctx, r.Repository.ID, storages); err != nil {
		return fmt.Errorf("forget replicas of %s: %w", r.Repository.Key, err)
	}
	return nil
}
