package coordinator

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"praefect/transaction/failpoint"
)

const (
	// leadWait bounds the wait for the proxies to agree that a primary is lost which this process
	// cannot reach: they are told of it within two seconds.
	leadWait = 3 * time.Second
	leadPoll = 50 * time.Millisecond
)

// Lead sees to it that the primary of a repository is current and can be reached, as a write does:
// if the proxies agree that it is lost, another is elected. Errors match those of
// [Coordinator.BeginWrite].
func (c *Coordinator) Lead(ctx context.Context, key Key) error {
	group, err := c.group(key.VirtualStorage)
	if err != nil {
		return err
	}
	found, err := group.routes.get(ctx, key.RelativePath)
	if err == nil {
		_, err = c.lead(ctx, group, found)
	}
	if err != nil {
		return fmt.Errorf("find primary of %s: %w", key, err)
	}
	return nil
}

// lead returns a route whose primary is current and can be reached. If the proxies agree that the
// present one is lost another is elected; if only this process cannot reach it, it waits for a
// moment, and then returns [ErrPrimaryUnreachable].
func (c *Coordinator) lead(ctx context.Context, group *group, found route) (route, error) {
	if serves(found, group.healthy()) && !needsElection(found, group.fit()) {
		return found, nil
	}
	ctx, cancel := context.WithTimeout(ctx, leadWait+c.config.TurnWait)
	defer cancel()
	deadline := time.NewTimer(leadWait)
	defer deadline.Stop()
	poll := time.NewTicker(leadPoll)
	defer poll.Stop()
	for {
		if needsElection(found, group.fit()) {
			return c.elect(ctx, group, found.id)
		}
		if serves(found, group.healthy()) {
			return found, nil
		}
		select {
		case <-poll.C:
		case <-deadline.C:
			return route{}, fmt.Errorf("%w: %q", ErrPrimaryUnreachable,
				group.storage(int(found.primary)))
		case <-ctx.Done():
			return route{}, fmt.Errorf("wait for a primary: %w", context.Cause(ctx))
		}
		var err error
		if found, err = group.again(ctx, found); err != nil {
			return route{}, err
		}
	}
}

// again reads a route once more, as another process may have changed it.
func (g *group) again(ctx context.Context, found route) (route, error) {
	fresh, err := g.routes.get(ctx, found.relativePath())
	if err == nil && fresh.id != found.id {
		err = ErrRepositoryNotFound
	}
	return fresh, err
}

// elect finds a primary that is healthy and current, and makes one if there is none. It holds the
// turn meanwhile, because a new epoch would make the record of a write that is being committed
// fail; a turn whose process is gone is left to recovery first.
func (c *Coordinator) elect(ctx context.Context, group *group, id RepositoryID) (route, error) {
	in := c.lines.use(id)
	defer c.lines.drop(in)
	waiting, cancel := context.WithTimeout(ctx, c.config.TurnWait)
	defer cancel()
	turn, repository, err := c.take(waiting, in, Intent{Kind: KindHold})
	if err != nil {
		return route{}, fmt.Errorf("elect primary: %w", err)
	}
	// The statement that elects ends the turn; when there is nothing to elect, this does.
	defer c.close(ctx, turn)
	elected, err := c.electUnder(ctx, group, turn, repository)
	if err != nil {
		return route{}, fmt.Errorf("elect primary: %w", err)
	}
	return elected, nil
}

// electUnder elects while nobody else can.
func (c *Coordinator) electUnder(
	ctx context.Context, group *group, turn *held, repository Repository,
) (route, error) {
	// Whatever the cache holds led here, so it is wrong or about to be.
	defer group.routes.invalidate(repository.Key.RelativePath)

	before := group.newRoute(repository)
	if !needsElection(before, group.fit()) {
		return before, nil
	}
	// A primary that this process cannot reach would do it no good.
	eligible, err := candidates(before, group.fit()&group.healthy())
	if err != nil {
		return route{}, err
	}
	after, err := c.store.Elect(ctx, Election{
		Repository: repository.ID, Write: turn.intent.Write, Epoch: repository.Epoch,
		Candidate: group.storage(group.random(eligible)),
	})
	failpoint.Hit(failpoint.Elected)
	if err != nil {
		return route{}, err
	}
	c.metrics.elections.WithLabelValues(string(group.name)).Inc()
	// Operators look for this line by its words and fields.
	c.log.Info("primary node changed", zap.Inline(after),
		zap.Int64("repository_id", int64(after.ID)),
		zap.String("current_primary", string(after.Primary)),
		zap.String("previous_primary", string(repository.Primary)))
	c.noteElection(repository, after)
	return group.newRoute(after), nil
}

// loadReady reads a repository from the store and refuses it unless it is ready.
func (c *Coordinator) loadReady(ctx context.Context, id RepositoryID) (Repository, error) {
	repository, err := c.store.Load(ctx, id)
	if err != nil {
		return Repository{}, err
	}
	if repository.State != StateReady {
		return Repository{}, ErrRepositoryNotFound
	}
	return repository, nil
}
