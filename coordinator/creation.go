package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"praefect/transaction/failpoint"
)

// kindCreation labels the writes that make a repository.
const kindCreation WriteKind = "creation"

// CreationOptions says what the method table knows about a creation.
type CreationOptions struct {
	// Additional is a repository of the same virtual storage that the new one shares objects
	// with. The new one is placed on its nodes.
	Additional *Key
	// Upsert says how the call writes to a repository that exists already. If nil, that is
	// [ErrRepositoryExists].
	Upsert *WriteOptions
	Caller Caller
}

// BeginCreation takes the path for a new repository and chooses its nodes. The repository is
// visible once [Write.Finish] has been told of success; after a failure, or if this process dies,
// it is removed from all disks again. Errors match [ErrRepositoryExists],
// [ErrAdditionalRepositoryNotFound], [ErrNoHealthyNode], [ErrTooFewCopies] or
// [ErrMetadataUnavailable]; no node was asked for anything then.
func (c *Coordinator) BeginCreation(
	ctx context.Context, key Key, options CreationOptions,
) (*Write, error) {
	write, err := c.beginCreation(ctx, key, options)
	if err != nil {
		return nil, fmt.Errorf("begin creation of %s: %w", key, err)
	}
	return write, nil
}

func (c *Coordinator) beginCreation(
	ctx context.Context, key Key, options CreationOptions,
) (*Write, error) {
	if options.Upsert == nil {
		return c.create(ctx, key, options)
	}
	existing := *options.Upsert
	existing.Additional = options.Additional
	write, err := c.beginWrite(ctx, key, existing)
	if !errors.Is(err, ErrRepositoryNotFound) {
		return write, err
	}
	write, err = c.create(ctx, key, options)
	if !errors.Is(err, ErrRepositoryExists) {
		return write, err
	}
	// Somebody else created it in between.
	if write, again := c.beginWrite(ctx, key, existing); again == nil {
		return write, nil
	}
	return nil, err
}

func (c *Coordinator) create(
	ctx context.Context, key Key, options CreationOptions,
) (*Write, error) {
	group, err := c.group(key.VirtualStorage)
	if err != nil {
		return nil, err
	}
	chosen, additional, err := c.placeRepository(ctx, group, options.Additional)
	if err != nil {
		return nil, err
	}
	incarnation, leased := c.lease.Incarnation()
	if !leased {
		return nil, ErrLeaseLost
	}
	id := RepositoryID(c.random.ID())
	creation := Creation{
		ID: id, Key: key, ReplicaPath: ReplicaPath(id, key.RelativePath),
		Primary:      group.storage(chosen.primary),
		Participants: group.storages(chosen.members),
		Assigned:     group.storages(chosen.assigned),
		Everywhere:   group.config.DefaultReplicationFactor == 0,
		Incarnation:  incarnation,
	}
	if err := c.insert(ctx, creation); err != nil {
		return nil, err
	}
	failpoint.Hit(failpoint.RowInserted)
	write := c.newCreation(group, creation, chosen, additional)
	write.options.Caller = options.Caller
	return write, nil
}

// insert takes the path. As with a turn the statement is not given up when its caller loses
// interest. If its answer is lost, the row may be there, and would hold the path for as long as
// this process lives.
func (c *Coordinator) insert(ctx context.Context, creation Creation) error {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), openTimeout)
	defer cancel()
	return c.beginCall(leftover{repository: creation.ID, undo: true}, func() error {
		return c.store.Create(bounded, creation)
	})
}

// placeRepository also returns the path of the additional repository.
func (c *Coordinator) placeRepository(
	ctx context.Context, group *group, additional *Key,
) (placement, string, error) {
	healthy := group.healthy()
	if additional == nil {
		chosen, err := group.placeNew(healthy)
		return chosen, "", err
	}
	beside, err := group.additional(ctx, *additional)
	if err != nil {
		return placement{}, "", err
	}
	beside, err = c.lead(ctx, group, beside)
	if err != nil {
		return placement{}, "", err
	}
	chosen, err := group.placeBeside(beside, healthy)
	return chosen, beside.replicaPath(), err
}

func (c *Coordinator) newCreation(
	group *group, creation Creation, chosen placement, additional string,
) *Write {
	write := &Write{
		coordinator: c, group: group, options: WriteOptions{Kind: kindCreation},
		members: chosen.members, line: c.lines.use(creation.ID),
		primary: creation.Primary, epoch: firstEpoch, incarnation: creation.Incarnation,
		missing: chosen.assigned.minus(chosen.members),
	}
	write.plan = Plan{
		Repository: creation.ID, Key: creation.Key, ReplicaPath: creation.ReplicaPath,
		AdditionalReplicaPath: additional, Primary: creation.Primary,
		Secondaries:   group.storages(chosen.members.without(chosen.primary)),
		MinimumCopies: chosen.minimum, Creation: true,
	}
	c.lines.send(write.line, write, chosen.members)
	return write
}

// firstEpoch is the epoch of a repository's first primary.
const firstEpoch Epoch = 1

// conclude makes a created repository visible, or begins to remove what is left of it, later if
// nodes may still be at work. Whatever the votes left in doubt, a repository that is not visible
// was surely not created.
func (w *Write) conclude(ctx context.Context, result Result, failure error) (Outcome, error) {
	c, id := w.coordinator, w.plan.Repository
	if result.PrimaryOK && failure == nil && !w.written() {
		failure = errNothingWritten
	}
	if result.PrimaryOK && failure == nil {
		failpoint.Hit(failpoint.CreationRecorded)
		failure = c.repeat(ctx, func(ctx context.Context) error {
			return c.store.Complete(ctx, id)
		})
		failpoint.Hit(failpoint.CreationCompleted)
		switch {
		case failure == nil:
			w.group.routes.invalidate(w.plan.Key.RelativePath)
			c.wakeRepair()
			return OutcomeRecorded, nil
		case !errors.Is(failure, ErrSuperseded):
			c.leftovers.add(leftover{repository: id, undo: true, keep: c.config.NodeDeadline})
			return OutcomeUnknown, fmt.Errorf("complete creation of %s: %w: %w",
				w.plan.Key, ErrOutcomeUnknown, failure)
		}
	}
	w.undo(ctx, len(result.Running)+len(result.Lost) > 0)
	if result.PrimaryOK {
		// What is in doubt about the record is not in doubt about the repository, so the failure is
		// told and not wrapped.
		return OutcomeNone, fmt.Errorf("%s: %w: %s",
			w.plan.Key, ErrCreationUndone, failure.Error())
	}
	return OutcomeNone, nil
}

// written says that a write of this call is recorded.
func (w *Write) written() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last.recorded.Generation > 0
}

// undo lets workers remove what a creation left on disks.
func (w *Write) undo(ctx context.Context, running bool) {
	var grace, keep time.Duration
	if running {
		grace, keep = w.coordinator.config.Drain, w.coordinator.config.NodeDeadline
	}
	_, err := w.coordinator.store.Delete(ctx, Deletion{
		Repository: w.plan.Repository, Grace: grace, Keep: keep,
	})
	switch {
	case err == nil:
		wake(w.coordinator.removals)
	case !errors.Is(err, ErrRepositoryNotFound) && !errors.Is(err, ErrSuperseded):
		w.coordinator.leftovers.add(leftover{
			repository: w.plan.Repository, undo: true, keep: keep,
		})
		w.coordinator.log.Warn("creation is undone when the database answers",
			zap.Inline(w.plan.Key), zap.Error(err))
	}
}
