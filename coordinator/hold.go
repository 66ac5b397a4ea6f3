package coordinator

import (
	"context"
	"fmt"
	"time"
)

// holdIdleMax bounds how long the end of a repair waits for writes that are under way to end. Most
// take less; a longer one is let through and takes part with the repaired replica.
const holdIdleMax = time.Second

// AwaitJoined waits until every write that this process has under way on the repository is sent to
// the joining replica as well. It must be called after [Repairer.JoinRepair]. Then no write of this
// process leaves the replica behind once it is current.
func (c *Coordinator) AwaitJoined(ctx context.Context, claim RepairClaim) error {
	group, err := c.group(claim.Key.VirtualStorage)
	if err != nil {
		return err
	}
	in := c.lines.use(claim.Repository)
	defer c.lines.drop(in)
	group.routes.invalidate(claim.Key.RelativePath)
	return c.lines.awaitWithout(ctx, in, group.members([]Storage{claim.Storage}))
}

// Hold is the turn of a repository, held for the last copy of a repair: no write of this process is
// between its commit and its record, so that a current replica is at rest.
type Hold struct {
	// Repository is as it is while the turn is held.
	Repository Repository

	coordinator *Coordinator
	group       *group
	line        *line
	turn        *ticket
	// stopped says that new writes are held back.
	stopped bool
}

// Hold takes the turn for the end of a repair. New writes are held back for a moment before they
// are sent anywhere, so that few of those that the copy does not contain yet reach the repaired
// replica. It returns [ErrBusy] when the turn does not come before the context's deadline. The
// caller releases the hold.
func (c *Coordinator) Hold(ctx context.Context, claim RepairClaim) (*Hold, error) {
	group, err := c.group(claim.Key.VirtualStorage)
	if err != nil {
		return nil, err
	}
	hold := &Hold{coordinator: c, group: group, line: c.lines.use(claim.Repository)}
	if err := hold.take(ctx, claim.Repository); err != nil {
		hold.Release()
		return nil, fmt.Errorf("hold %s: %w", claim.Key, err)
	}
	return hold, nil
}

func (h *Hold) take(ctx context.Context, id RepositoryID) error {
	lines := h.coordinator.lines
	h.stopped = lines.stop(h.line)
	quiet, cancel := context.WithTimeout(ctx, holdIdleMax)
	defer cancel()
	lines.idle(quiet, h.line)

	var err error
	if h.turn, err = lines.take(ctx, h.line); err != nil {
		return err
	}
	h.Repository, err = h.coordinator.loadReady(ctx, id)
	return err
}

// Release lets writes go on. They are routed anew, so that they see what the repair has changed.
// It must be called once.
func (h *Hold) Release() {
	lines := h.coordinator.lines
	if h.Repository.ID != 0 {
		h.group.routes.invalidate(h.Repository.Key.RelativePath)
	}
	if h.turn != nil {
		lines.release(h.line, h.turn)
	}
	if h.stopped {
		lines.start(h.line)
	}
	lines.drop(h.line)
}
