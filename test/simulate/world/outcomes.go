package world

import (
	"context"
	"time"

	"praefect/coordinator"
	"praefect/test/model/abstract"
	"praefect/transaction"
)

// AdoptTurns implements coordinator.Store.
func (f *followed) AdoptTurns(
	ctx context.Context, adopter coordinator.Incarnation, limit int,
) ([]coordinator.Adoption, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	adoptions, err := f.Store.AdoptTurns(ctx, adopter, limit)
	for _, adoption := range adoptions {
		p := f.holds(adoption.Repository, adoption.Write)
		if p == nil || p.adoption == adoption.Number {
			continue
		}
		if _, lives := f.names[p.holder]; lives && !f.ends[p.holder].After(time.Now()) {
			f.leave(p.holder)
		}
		p.add(abstract.Event{
			Kind: abstract.Adopted, Write: f.number(adoption.Write), Proxy: f.number(adopter),
			Number: int(adoption.Number), Epoch: int(adoption.Snapshot.Epoch),
		})
		p.holder, p.adoption = adopter, adoption.Number
	}
	return adoptions, err
}

// Resolve implements coordinator.Store.
func (f *followed) Resolve(
	ctx context.Context, resolution coordinator.Resolution,
) (coordinator.Recorded, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	recorded, err := f.Store.Resolve(ctx, resolution)
	if p := f.holds(resolution.Repository, resolution.Write); err == nil && p != nil {
		e := abstract.Event{
			Kind: abstract.Dropped, Write: f.number(resolution.Write),
			Proxy: f.number(resolution.Owner), Number: int(resolution.Number),
		}
		if len(resolution.Keep) > 0 {
			e.Kind = abstract.Resolved
			e, _ = f.after(ctx, resolution.Repository, e)
		}
		p.end(e)
	}
	return recorded, err
}

// ClaimRepairs implements coordinator.Store.
func (f *followed) ClaimRepairs(
	ctx context.Context, request coordinator.RepairRequest,
) ([]coordinator.RepairClaim, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	claims, err := f.Store.ClaimRepairs(ctx, request)
	for _, claim := range claims {
		f.repair(claim, abstract.Claimed, 0)
	}
	return claims, err
}

// EmptyReplica implements coordinator.Store.
func (f *followed) EmptyReplica(ctx context.Context, claim coordinator.RepairClaim) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.Store.EmptyReplica(ctx, claim)
	if err == nil {
		f.repair(claim, abstract.Emptied, 0)
	}
	return err
}

// FinishRepair implements coordinator.Store.
func (f *followed) FinishRepair(
	ctx context.Context, claim coordinator.RepairClaim, copied coordinator.Generation,
) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.Store.FinishRepair(ctx, claim, copied)
	if err != nil {
		return err
	}
	if repository, failed := f.Load(ctx, claim.Repository); failed == nil {
		replica, _ := repository.Replica(claim.Storage)
		f.repair(claim, abstract.Repaired, replica.Generation)
	}
	return nil
}

func (f *followed) repair(
	claim coordinator.RepairClaim, kind abstract.Kind, to coordinator.Generation,
) {
	if p := f.paths[claim.Repository]; p != nil {
		p.add(abstract.Event{
			Kind: kind, Node: f.place(claim.Storage), Number: f.number(claim.ID),
			Generation: int(to),
		})
	}
}

// told says that a node is told to commit, and returns for which turn.
func (f *followed) told(by *origin, storage coordinator.Storage) int {
	return f.seen(by.repository, abstract.Event{Kind: abstract.Told, Node: f.place(storage)}, by)
}

// applied says that a node has committed.
func (f *followed) applied(
	id coordinator.RepositoryID, turn int, storage coordinator.Storage,
) {
	if turn > 0 {
		f.seen(id, abstract.Event{
			Kind: abstract.Applied, Write: turn, Node: f.place(storage),
		}, nil)
	}
}

// answered says what a client is told of a write.
func (f *followed) answered(got answer) {
	if got.turn == 0 {
		return
	}
	e := abstract.Event{Kind: abstract.Answered, Write: got.turn, Outcome: got.outcome.String()}
	if got.err == nil || got.outcome == coordinator.OutcomeNone {
		f.seen(got.repository, e, nil)
	}
}

// seen notes what happens outside of the store. The turn is that of the run, if one is given.
func (f *followed) seen(id coordinator.RepositoryID, e abstract.Event, by *origin) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if by != nil {
		e.Write = by.turn
	}
	if p := f.paths[id]; p != nil {
		p.add(e)
	}
	return e.Write
}

// originKey and madeKey are for what statements come from, in their contexts.
type (
	originKey struct{}
	madeKey   struct{}
)

// origin is the call that a turn is taken for, and the last turn that it took.
type origin struct {
	repository coordinator.RepositoryID
	turn       int
	// silent says that its nodes do not vote.
	silent bool
}

func (o *origin) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

func originOf(ctx context.Context, id coordinator.RepositoryID) *origin {
	found, ok := ctx.Value(originKey{}).(*origin)
	if !ok {
		found = &origin{}
	}
	found.repository = id
	return found
}

// traced is a write whose statements say whose they are.
type traced struct {
	*coordinator.Write

	origin *origin
}

// TakeTurn implements registry.Turn.
func (t traced) TakeTurn(ctx context.Context) ([]transaction.Voter, error) {
	return t.Write.TakeTurn(t.origin.in(ctx))
}

// Record implements registry.Recorder.
func (t traced) Record(ctx context.Context, record transaction.Record) error {
	return t.Write.Record(context.WithValue(ctx, madeKey{}, record.Outcome), record)
}
