package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"praefect/transaction"
	"praefect/transaction/failpoint"
)

// WriteKind says what a write changes: references, hooks, config, link, objects or creation.
type WriteKind string

// writeKinds are those of calls.
func writeKinds() []WriteKind {
	return []WriteKind{"references", "hooks", "config", "link", "objects", kindCreation}
}

// WriteOptions says what the method table knows about a write.
type WriteOptions struct {
	Kind WriteKind
	// Turn says when the write waits for its turn. With [transaction.GateHeld] it holds it from
	// the start.
	Turn transaction.Gate
	// NeverWrites says that success without a vote changed nothing.
	NeverWrites bool
	// Several says that the call may consist of several writes, one after the other.
	Several bool
	// Verify says that part of what the write does is never voted on, however it ends: the replicas
	// are compared afterwards, also when this process does not live to ask for it.
	Verify bool
	// DeletesBeside, if not nil, says in front of the first turn whether the call may delete
	// references without a vote and change others as well: the turn may be given back, or used for
	// a record, between the two.
	DeletesBeside func() bool
	// Additional is a second repository of the same virtual storage that the write names.
	Additional *Key
	Caller     Caller
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
	// missing were current and not healthy when the write was routed, outdated were not current.
	// Both are assigned, and no members.
	missing, outdated set

	// incarnation is the one that created the repository, if the write does.
	incarnation Incarnation

	mu sync.Mutex // guards the fields below
	// announced is the announcement that Finish has to withdraw, or 0, and announcer the
	// incarnation whose it is; withdrawn says that Finish has begun to.
	announced WriteID
	announcer Incarnation
	withdrawn bool
	// primary, epoch and base are those of the next record. Base is known while the turn is
	// held; a creation needs no turn.
	primary Storage
	epoch   Epoch
	base    Generation
	turn    *held
	// since is when it was taken.
	since time.Time
	// lapsed are participants that were not current when the turn was taken last.
	lapsed set
	// window says that the commit window is open.
	window bool
	// last is what a late confirmation refers to.
	last recordedWrite
	// lagging are participants that a record left behind.
	lagging set
	// failed is the turn that was left to recovery, and has the outcome.
	failed *held
	// await is the invalidation that other processes must have applied before the client is
	// answered.
	await Sequence
	// over says that nothing of the write is left in the line.
	over bool
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
		write.leave(ctx)
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

// dispatch decides who takes part and, if it has to, takes the turn or announces the write.
func (w *Write) dispatch(ctx context.Context) error {
	w.coordinator.lines.admit(ctx, w.line)
	if err := w.choose(ctx); err != nil {
		return err
	}
	switch {
	case w.options.Turn == transaction.GateHeld:
		return w.dispatchHeld(ctx)
	case w.options.Verify:
		return w.announce(ctx)
	}
	return nil
}

// dispatchHeld leaves those out that are not current when the turn has come.
func (w *Write) dispatchHeld(ctx context.Context) error {
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
	route, err = w.coordinator.lead(ctx, w.group, route)
	if err != nil {
		return err
	}
	chosen, err := w.group.participants(route, w.group.healthy()|route.primarySet())
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
	absent := r.assigned.minus(chosen.members)
	w.missing, w.outdated = absent&r.current, absent.minus(r.current)
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
	w.outdated |= w.members.minus(members)
	w.members = members
	w.plan.Secondaries = w.group.storages(
		members.without(w.group.place(w.plan.Primary)),
	)
	return nil
}

// Plan says where the write goes.
func (w *Write) Plan() Plan { return w.plan }

// TakeTurn waits for the right to commit next on the repository, makes the intent to do so durable,
// and reads the metadata afresh, so that the base of the write is known exactly. It returns the
// participants that are not current any more. When the context's deadline passes first it returns
// [ErrBusy]; [ErrPrimaryChanged], [ErrLeaseLost] and [ErrRepositoryNotFound] say that the write was
// routed by metadata that are not true any more. After an error the turn is not held.
func (w *Write) TakeTurn(ctx context.Context) ([]transaction.Voter, error) {
	if w.plan.Creation || failpoint.Sabotaged(failpoint.TurnSkipped) {
		return nil, nil
	}
	if err := w.announceDeletions(ctx); err != nil {
		return nil, err
	}
	return w.takeTurn(ctx)
}

func (w *Write) takeTurn(ctx context.Context) ([]transaction.Voter, error) {
	begun := time.Now()
	turn, repository, err := w.coordinator.take(ctx, w.line, Intent{
		Kind: w.options.Kind, Participants: w.group.storages(w.members),
	})
	w.group.metrics.turns.tried(begun, err)
	if err != nil {
		if errors.Is(err, ErrRepositoryNotFound) {
			w.group.routes.invalidate(w.plan.Key.RelativePath)
		}
		return nil, fmt.Errorf("take turn on %s: %w", w.plan.Key, err)
	}
	lapsed, err := w.begin(turn, repository)
	if err != nil {
		w.coordinator.close(ctx, turn)
		return nil, fmt.Errorf("take turn on %s: %w", w.plan.Key, err)
	}
	return w.group.votersOf(lapsed), nil
}

// begin compares how the write was routed with what is true under the turn. A new epoch alone is
// none of its concern, as nobody has committed anything yet and its record will name the new one.
func (w *Write) begin(turn *held, repository Repository) (set, error) {
	fresh := w.group.newRoute(repository)
	// Readers that come after the answer to this write must not use what is older, nor must the
	// next attempt if this one was routed by it.
	w.group.routes.correct(fresh)

	w.mu.Lock()
	defer w.mu.Unlock()
	if repository.Primary != w.primary || !repository.Current(w.primary) {
		return 0, ErrPrimaryChanged
	}
	lapsed := w.members.minus(fresh.current)
	w.hands(turn)
	w.epoch, w.base, w.lapsed = repository.Epoch, repository.Generation, lapsed
	return lapsed, nil
}

// Leased says whether this process may still let nodes commit, or tell anybody that they have. Once
// it is false it stays so, for the turn that is held.
func (w *Write) Leased() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	under := w.incarnation
	if w.turn != nil {
		under = w.turn.intent.Incarnation
	}
	incarnation, holds := w.coordinator.lease.Incarnation()
	return holds && (incarnation == under || under == 0)
}

// Overran says that the lease had run out when nodes were told to commit: somebody may have looked
// at them before. What they do now is compared when they surely do nothing any more.
func (w *Write) Overran(ctx context.Context) error {
	return w.coordinator.repeat(ctx, func(ctx context.Context) error {
		return w.coordinator.store.Settle(ctx, w.plan.Repository, Settling{
			Storages: w.group.storages(w.members), For: w.coordinator.config.NodeDeadline,
		})
	})
}

// Contended says whether anybody waits for the turn.
func (w *Write) Contended() bool { return w.coordinator.lines.contended(w.line) }

// ReleaseTurn gives the turn back if it is held. If nodes were told to commit under it and nothing
// is recorded, it is left to recovery instead: that none of them has confirmed may mean that git
// gave up, or that their votes were lost.
func (w *Write) ReleaseTurn(ctx context.Context) {
	w.mu.Lock()
	committing := w.window && w.turn != nil
	w.mu.Unlock()
	if committing {
		w.giveUp(ctx)
		return
	}
	if turn := w.putDown(); turn != nil {
		w.coordinator.close(ctx, turn)
	}
}

// putDown returns the turn that is held, or nil; it is the caller's to end.
func (w *Write) putDown() *held {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.drop()
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
	late := LateConfirmation{
		Repository: w.plan.Repository, Epoch: last.recorded.Epoch,
		Generation: last.recorded.Generation, Storage: Storage(voter),
	}
	taken, err := w.coordinator.store.Confirm(ctx, late)
	if err != nil {
		return false, fmt.Errorf("confirm write of %s late: %w", w.plan.Key, err)
	}
	if taken {
		w.coordinator.log.Info("late replica taken back in",
			zap.Inline(w.plan.Key), zap.String("storage", string(voter)))
		w.coordinator.recent.confirm(late)
		w.noteLate(late)
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

// leave ends the write's use of the line. It is safe to call twice.
func (w *Write) leave(ctx context.Context) {
	w.mu.Lock()
	over := w.over
	w.over = true
	w.mu.Unlock()
	if over {
		return
	}
	w.ReleaseTurn(ctx)
	w.mu.Lock()
	w.closeWindow()
	announced := w.announced
	w.mu.Unlock()
	if w.plan.Creation || announced != 0 {
		w.coordinator.calls.end(leftoverKey{w.plan.Repository, announced})
	}
	w.coordinator.lines.end(w.line, w)
	w.coordinator.lines.drop(w.line)
}
