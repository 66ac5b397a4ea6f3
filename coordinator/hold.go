package coordinator

import (
	"context"
	"fmt"
	"time"
)

// holdIdleMax bounds how long the end of a repair waits for writes that are under way to end. Most
// take less; a longer one is let through and takes part with the repaired replica.
const holdIdleMax = time.Second

// Kinds of turns under which nothing is committed.
const (
	// KindHold keeps writes away from a repository, for an election, a removal or a repair.
	KindHold WriteKind = "hold"
	// KindVerification is for a comparison of replicas.
	KindVerification WriteKind = "verification"
)

// AwaitJoined waits until every write that is under way on the repository is sent to the joining
// replica as well: those of this process, and those that others begin from now on. It must be
// called after [Repairer.JoinRepair].
func (c *Coordinator) AwaitJoined(ctx context.Context, claim RepairClaim) error {
	group, err := c.group(claim.Key.VirtualStorage)
	if err != nil {
		return err
	}
	in := c.lines.use(claim.Repository)
	defer c.lines.drop(in)
	group.routes.invalidate(claim.Key.RelativePath)
	err = c.lines.awaitWithout(ctx, in, group.members([]Storage{claim.Storage}))
	if err != nil {
		return err
	}
	repository, err := c.loadReady(ctx, claim.Repository)
	if err != nil {
		return err
	}
	return c.peers.AwaitAcknowledged(ctx, repository.Invalidated)
}

// HoldRequest asks for the turn of a repository without a write.
type HoldRequest struct {
	Key        Key
	Repository RepositoryID
	Kind       WriteKind
	// Quiet holds new writes of this process back for a moment before they are sent anywhere, so
	// that few of those that begin now are surprised by what the holder does.
	Quiet bool
}

// Hold is the turn of a repository, held while no write of any process is between its commit and
// its record, so that a current replica is at rest.
type Hold struct {
	// Repository is as it is while the turn is held.
	Repository Repository

	coordinator *Coordinator
	group       *group
	line        *line
	turn        *held
	// stopped says that new writes are held back.
	stopped bool
}

// Hold takes the turn. It returns [ErrBusy] when the turn does not come before the context's
// deadline. The caller releases the hold.
func (c *Coordinator) Hold(ctx context.Context, request HoldRequest) (*Hold, error) {
	group, err := c.group(request.Key.VirtualStorage)
	if err != nil {
		return nil, err
	}
	hold := &Hold{coordinator: c, group: group, line: c.lines.use(request.Repository)}
	if err := hold.take(ctx, request); err != nil {
		hold.Release()
		return nil, fmt.Errorf("hold %s: %w", request.Key, err)
	}
	return hold, nil
}

func (h *Hold) take(ctx context.Context, request HoldRequest) (err error) {
	lines := h.coordinator.lines
	if request.Quiet {
		h.stopped = lines.stop(h.line)
		quiet, cancel := context.WithTimeout(ctx, holdIdleMax)
		defer cancel()
		lines.idle(quiet, h.line)
	}
	h.turn, h.Repository, err = h.coordinator.take(ctx, h.line, Intent{Kind: request.Kind})
	return err
}

// Write identifies the turn in the store.
func (h *Hold) Write() WriteID { return h.turn.intent.Write }

// Incarnation is the one under which the turn is held.
func (h *Hold) Incarnation() Incarnation { return h.turn.intent.Incarnation }

// Release lets writes go on. They are routed anew, so that they see what the holder has changed. If
// a statement has ended the turn already, that is fine. It must be called once.
func (h *Hold) Release() {
	lines := h.coordinator.lines
	if h.turn != nil {
		h.group.routes.invalidate(h.Repository.Key.RelativePath)
		h.coordinator.close(context.Background(), h.turn)
	}
	if h.stopped {
		lines.start(h.line)
	}
	lines.drop(h.line)
}
