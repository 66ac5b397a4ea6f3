package coordinator

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"praefect/transaction"
)

// WriteKind says what a write changes: references, hooks, config, link, objects or creation.
type WriteKind string

// WriteOptions says what the method table knows about a write.
type WriteOptions struct {
	Kind WriteKind
	// Turn says when the write waits for its turn. With [transaction.GateHeld] it holds it from
	// the start.
	Turn transaction.Gate
	// NeverWrites says that success without a vote changed nothing.
	NeverWrites bool
	// Verify asks for a comparison of the replicas whenever the write succeeds.
	Verify bool
	// Additional is a second repository of the same virtual storage that the write names.
	Additional *Key
}

// holdMax bounds how long a new write waits, before it is sent anywhere, for a repair that holds
// it back to end. A write that is sent all the same leaves the repaired replica behind again.
const holdMax = 2 * time.Second

// Write is one mutating call from its routing to its outcome. It carries out what the voting
// asks for: the turn, the record, late confirmations. [Write.Finish] must be called exactly once.
// Safe for concurrent use.
type Write struct {
	coordinator *Coordinator
	group       *group
	options     WriteOptions
	plan        Plan
	members     set
	line        *line

	mu sync.Mutex // guards the fields below
	// primary, epoch and base are those of the next record. Base is known while the turn is
	// held; a creation needs no turn.
	primary Storage
	epoch   Epoch
	base    Generation
	turn    *ticket
	// lapsed are participants that were not current when the turn was taken last.
	lapsed set
	// window says that the commit window is open.
	window bool
	// last is what a late confirmation refers to.
	last recordedWrite
	// lagging are participants that a record left behind.
	lagging set
	// unsettled is the outcome that could not be recorded yet; the turn is kept for it.
	unsettled *WriteOutcome
	// finished says that the call has ended, over that nothing of it is left in the line.
	finished, over bool
}

type recordedWrite struct {
	number   uint64
	recorded Recorded
}

// BeginWrite routes a write to the primary and to every assigned replica that is healthy and
// current. If the primary is not fit, another is elected first. Errors match
// [ErrRepositoryNotFound], [ErrAdditionalRepositoryNotFound], [ErrTooFewCopies], [ErrNoPrimary],
// [ErrNoHealthyNode], [ErrBusy] or [ErrMetadataUnavailable]; nothing was sent then.
func (c *Coordinator) BeginWrite(
	ctx context.Context, key Key, options WriteOptions,
) (*Write, error) {
	write, err := c.beginWrite(ctx, key, options)
	if err != nil {
		return nil, fmt.Errorf("begin write of %s: %w", key, err)
	}
	return write, nil
}

func (c *Coordinator) beginWrite(
	ctx context.Context, key Key, options WriteOptions,
) (*Write, error) {
	group, err := c.group(key.VirtualStorage)
	if err != nil {
		return nil, err
	}
	additional, err := group.additionalPath(ctx, options.Additional)
	if err != nil {
		return nil, err
	}
	found, err := group.routes.get(ctx, key.RelativePath)
	if err != nil {
		return nil, err
	}

	write := &Write{coordinator: c, group: group, options: options, line: c.lines.use(found.id)}
	write.plan = Plan{
		Repository: found.id, Key: key,
		ReplicaPath: found.replicaPath(), AdditionalReplicaPath: additional,
	}
	if err := write.dispatch(ctx); err != nil {
		write.leave()
		return nil, err
	}
	return write, nil
}

// additionalPath resolves the second repository of a request.
func (g *group) additionalPath(ctx context.Context, key *Key) (string, error) {
	if key == nil {
		return "", nil
	}
	found, err := g.additional(ctx, *key)
	return found.replicaPath(), err
}

// dispatch decides who takes part and, if it has to, takes the turn.
func (w *Write) dispatch(ctx context.Context) error {
	w.coordinator.lines.admit(ctx, w.line)
	if err := w.choose(ctx); err != nil {
		return err
	}
	if w.options.Turn != transaction.GateHeld {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, w.coordinator.config.TurnWait)
	defer cancel()
	lapsed, err := w.TakeTurn(waiting)
	if err != nil {
		return err
	}
	return w.narrow(lapsed)
}

// choose fills in the participants. It registers before it reads the route; see
// [lines.awaitWithout].
func (w *Write) choose(ctx context.Context) error {
	w.coordinator.lines.send(w.line, w, 0)
	route, err := w.group.routes.get(ctx, w.plan.Key.RelativePath)
	if err != nil {
		return err
	}
	if route.id != w.plan.Repository {
		return ErrRepositoryNotFound
	}
	healthy := w.group.healthy()
	if needsElection(route, healthy) {
		if route, err = w.coordinator.elect(ctx, w.group, route.id); err != nil {
			return err
		}
	}
	chosen, err := w.group.participants(route, healthy|route.primarySet())
	if err != nil {
		return err
	}
	w.assign(route, chosen)
	w.coordinator.lines.send(w.line, w, chosen.members)
	return nil
}

func (w *Write) assign(r route, chosen participation) {
	w.members = chosen.members
	w.plan.MinimumCopies = chosen.minimum
	w.plan.Primary = w.group.storage(int(r.primary))
	w.plan.Secondaries = w.group.storages(chosen.members.minus(r.primarySet()))
	w.primary, w.epoch = w.plan.Primary, r.epoch
}

// narrow leaves out who lapsed before anything was sent.
func (w *Write) narrow(lapsed []transaction.Voter) error {
	members := w.members.minus(w.group.voters(lapsed))
	if members.count() < w.plan.MinimumCopies {
		return &TooFewCopiesError{
			Need: w.plan.MinimumCopies, Have: members.count(),
			Missing: w.group.absences(w.members.minus(members), w.members),
		}
	}
	w.members = members
	w.plan.Secondaries = w.group.storages(
		members.without(w.group.place(w.plan.Primary)),
	)
	return nil
}

// Plan says where the write goes.
func (w *Write) Plan() Plan { return w.plan }

// TakeTurn waits in line for the right to commit next on the repository and then reads its
// metadata afresh, so that the base of the write is known exactly. It returns the participants
// that are not current any more. When the context's deadline passes first it returns [ErrBusy];
// [ErrPrimaryChanged] and [ErrRepositoryNotFound] say that the write was routed by metadata that
// are not true any more. After an error the turn is not held.
func (w *Write) TakeTurn(ctx context.Context) ([]transaction.Voter, error) {
	if w.plan.Creation {
		return nil, nil
	}
	begin := time.Now()
	turn, err := w.coordinator.lines.take(ctx, w.line)
	w.coordinator.metrics.turnWait.Observe(time.Since(begin).Seconds())
	if err != nil {
		return nil, fmt.Errorf("take turn on %s: %w", w.plan.Key, err)
	}
	lapsed, err := w.open(ctx, turn)
	if err != nil {
		w.coordinator.lines.release(w.line, turn)
		return nil, fmt.Errorf("take turn on %s: %w", w.plan.Key, err)
	}
	return w.group.votersOf(lapsed), nil
}

// open begins the turn: whatever must be durable before anybody is told to commit belongs here,
// in the same round trip as the reading of the base and before it.
func (w *Write) open(ctx context.Context, turn *ticket) (set, error) {
	repository, err := w.coordinator.loadReady(ctx, w.plan.Repository)
	if err != nil {
		return 0, err
	}
	fresh := w.group.newRoute(repository)

	w.mu.Lock()
	defer w.mu.Unlock()
	if repository.Epoch != w.epoch || repository.Primary != w.primary ||
		!repository.Current(w.primary) {
		w.group.routes.invalidate(w.plan.Key.RelativePath)
		return 0, ErrPrimaryChanged
	}
	lapsed := w.members.minus(fresh.current)
	if lapsed.minus(fresh.joining) != 0 {
		w.group.routes.invalidate(w.plan.Key.RelativePath)
	}
	w.turn, w.base, w.lapsed = turn, repository.Generation, lapsed
	return lapsed, nil
}

// Contended says whether anybody waits for the turn.
func (w *Write) Contended() bool { return w.coordinator.lines.contended(w.line) }

// ReleaseTurn gives the turn back if it is held. While an outcome is not recorded that may be on
// disks, the turn is kept.
func (w *Write) ReleaseTurn(context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.releaseTurn()
}

func (w *Write) releaseTurn() {
	if w.turn != nil && w.unsettled == nil {
		w.coordinator.lines.release(w.line, w.turn)
		w.turn = nil
	}
}

// Committing says that the nodes begin to commit: until the record this process reads the
// repository from the primary.
func (w *Write) Committing() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.window {
		w.window = true
		w.coordinator.lines.openWindow(w.line)
	}
}

func (w *Write) closeWindow() {
	if w.window {
		w.window = false
		w.coordinator.lines.closeWindow(w.line)
	}
}

// Confirm takes a voter back in that confirmed the numbered write after its record. It returns
// false if the repository has moved on since, or a repair of the replica has begun.
func (w *Write) Confirm(
	ctx context.Context, number uint64, voter transaction.Voter,
) (bool, error) {
	w.mu.Lock()
	last := w.last
	w.mu.Unlock()
	if last.number != number || number == 0 {
		return false, nil
	}
	taken, err := w.coordinator.store.Confirm(ctx, LateConfirmation{
		Repository: w.plan.Repository, Epoch: last.recorded.Epoch,
		Generation: last.recorded.Generation, Storage: Storage(voter),
	})
	if err != nil {
		return false, fmt.Errorf("confirm write of %s late: %w", w.plan.Key, err)
	}
	if taken {
		w.coordinator.log.Info("late replica taken back in",
			zap.Inline(w.plan.Key), zap.String("storage", string(voter)))
		w.group.routes.invalidate(w.plan.Key.RelativePath)
		w.forgive(voter)
	}
	return taken, nil
}

func (w *Write) forgive(voter transaction.Voter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lagging = w.lagging.minus(w.group.voters([]transaction.Voter{voter}))
}

// leave ends the write's use of the line, at once or when its outcome is settled. It is safe to
// call twice.
func (w *Write) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finished = true
	if w.over || w.unsettled != nil {
		return
	}
	w.over = true
	w.closeWindow()
	w.releaseTurn()
	w.coordinator.lines.end(w.line, w)
	w.coordinator.lines.drop(w.line)
}
