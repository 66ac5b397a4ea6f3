package coordinator

import (
	"context"
	"fmt"

	"go.uber.org/zap"
)

// electionTries bounds how often an election that another process won is looked at again.
const electionTries = 3

// elect finds a primary that is healthy and current, and makes one if there is none. It holds the
// turn meanwhile, because a new epoch would make the record of a write that is being committed
// fail.
func (c *Coordinator) elect(ctx context.Context, group *group, id RepositoryID) (route, error) {
	in := c.lines.use(id)
	defer c.lines.drop(in)
	waiting, cancel := context.WithTimeout(ctx, c.config.TurnWait)
	defer cancel()
	turn, err := c.lines.take(waiting, in)
	if err != nil {
		return route{}, fmt.Errorf("elect primary: %w", err)
	}
	defer c.lines.release(in, turn)

	for range electionTries {
		elected, done, err := c.electOnce(ctx, group, id)
		if done || err != nil {
			return elected, err
		}
	}
	return route{}, fmt.Errorf("elect primary: %w", ErrPrimaryChanged)
}

// electOnce returns true if the route that it returns has a fit primary.
func (c *Coordinator) electOnce(
	ctx context.Context, group *group, id RepositoryID,
) (route, bool, error) {
	repository, err := c.loadReady(ctx, id)
	if err != nil {
		return route{}, false, fmt.Errorf("elect primary: %w", err)
	}
	// Whatever the cache holds led here, so it is wrong or about to be.
	defer group.routes.invalidate(repository.Key.RelativePath)

	before := group.newRoute(repository)
	healthy := group.healthy()
	if !needsElection(before, healthy) {
		return before, true, nil
	}
	place, err := candidate(before, healthy)
	if err != nil {
		return route{}, false, fmt.Errorf("elect primary: %w", err)
	}

	after, err := c.store.Elect(ctx, Election{
		Repository: id, Epoch: repository.Epoch, Candidate: group.storage(place),
	})
	if err != nil {
		return route{}, false, fmt.Errorf("elect primary: %w", err)
	}
	elected := after.Epoch == repository.Epoch+1 && after.Primary == group.storage(place)
	if elected {
		c.metrics.elections.WithLabelValues(string(group.name)).Inc()
		c.log.Info("primary elected", zap.Inline(after),
			zap.String("previous_primary", string(repository.Primary)))
	}
	return group.newRoute(after), elected, nil
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
