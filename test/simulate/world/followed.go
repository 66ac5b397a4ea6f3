package world

import (
	"context"
	"slices"
	"sync"
	"time"

	"praefect/coordinator"
	"praefect/coordinator/memory"
	"praefect/test/model/abstract"
	"praefect/transaction"
)

// followed is the store, and writes down, as events of the model, what its statements have done to
// the repositories that are there from the beginning.
type followed struct {
	*memory.Store
	storages []coordinator.Storage

	mu sync.Mutex // is held over each statement, and guards the fields below
	// numbers are those of incarnations, turns and claims in the events.
	numbers map[any]int
	last    int
	paths   map[coordinator.RepositoryID]*path
	// ends are the ends of leases, names the processes that have them.
	ends  map[coordinator.Incarnation]time.Time
	names map[coordinator.Incarnation]string
}

// path is what has happened to one repository.
type path struct {
	begun  coordinator.Repository
	events []abstract.Event
	// open is the intent that is there, holder whoever has it in hand, adoption its last number.
	open     coordinator.WriteID
	holder   coordinator.Incarnation
	adoption int64
}

func newFollowed(store *memory.Store, storages []coordinator.Storage) *followed {
	return &followed{
		Store: store, storages: storages, numbers: map[any]int{},
		paths: map[coordinator.RepositoryID]*path{},
		ends:  map[coordinator.Incarnation]time.Time{},
		names: map[coordinator.Incarnation]string{},
	}
}

// begin follows a repository from now on.
func (f *followed) begin(ctx context.Context, id coordinator.RepositoryID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	repository, err := f.Load(ctx, id)
	if err == nil {
		f.paths[id] = &path{begun: repository}
	}
	return err
}

// drift says where the model does not allow what has happened.
func (f *followed) drift() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []string
	for id := range coordinator.RepositoryID(len(f.paths)) {
		p := f.paths[id+1]
		state := abstract.NewState(len(f.storages), len(f.storages)/2+1)
		state.Start(int(p.begun.Generation), int(p.begun.Epoch), f.place(p.begun.Primary))
		if err := abstract.Check(state, p.events); err != nil {
			found = append(found, "model: "+p.begun.Key.String()+": "+err.Error())
		}
	}
	return found
}

// counts says how many events of each kind there were.
func (f *followed) counts() map[abstract.Kind]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := map[abstract.Kind]int{}
	for _, p := range f.paths {
		for _, e := range p.events {
			found[e.Kind]++
		}
	}
	return found
}

// number is the same for the same thing, and never 0.
func (f *followed) number(of any) int {
	if f.numbers[of] == 0 {
		f.last++
		f.numbers[of] = f.last
	}
	return f.numbers[of]
}

func (f *followed) place(storage coordinator.Storage) int {
	return slices.Index(f.storages, storage)
}

func (f *followed) set(storages []coordinator.Storage) abstract.Set {
	var nodes abstract.Set
	for _, storage := range storages {
		nodes = nodes.With(f.place(storage))
	}
	return nodes
}

// holds returns the path of a repository if the turn of the write is open there.
func (f *followed) holds(id coordinator.RepositoryID, write coordinator.WriteID) *path {
	if p := f.paths[id]; p != nil && p.open == write {
		return p
	}
	return nil
}

// after completes an event by how the repository stands after a statement.
func (f *followed) after(
	ctx context.Context, id coordinator.RepositoryID, e abstract.Event,
) (abstract.Event, bool) {
	repository, err := f.Load(ctx, id)
	e.Generation, e.Epoch = int(repository.Generation), int(repository.Epoch)
	e.Primary = f.place(repository.Primary)
	for _, replica := range repository.Replicas {
		if replica.Generation == repository.Generation {
			e.Nodes = e.Nodes.With(f.place(replica.Storage))
		}
	}
	return e, err == nil && repository.TurnHeld
}

func (p *path) add(e abstract.Event) { p.events = append(p.events, e) }

func (p *path) end(e abstract.Event) {
	p.add(e)
	p.open, p.holder, p.adoption = 0, 0, 0
}

// everywhere is what concerns all repositories.
func (f *followed) everywhere(e abstract.Event) {
	for _, p := range f.paths {
		p.add(e)
	}
}

// Enlist implements coordinator.Store.
func (f *followed) Enlist(
	ctx context.Context, enlistment coordinator.Enlistment,
) (coordinator.Sequence, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	sequence, err := f.Store.Enlist(ctx, enlistment)
	if err != nil {
		return sequence, err
	}
	incarnation := enlistment.Incarnation
	for other, name := range f.names {
		left := enlistment.Replaces && name == enlistment.Name
		if other != incarnation && (left || slices.Contains(enlistment.Former, other)) {
			f.leave(other)
		}
	}
	if _, again := f.names[incarnation]; !again {
		f.names[incarnation] = enlistment.Name
		f.everywhere(abstract.Event{Kind: abstract.Enlisted, Proxy: f.number(incarnation)})
	}
	f.ends[incarnation] = time.Now().Add(enlistment.TTL)
	return sequence, nil
}

// leave ends a lease.
func (f *followed) leave(incarnation coordinator.Incarnation) {
	delete(f.names, incarnation)
	f.ends[incarnation] = time.Now()
	f.everywhere(abstract.Event{Kind: abstract.Ended, Proxy: f.number(incarnation)})
}

// Renew implements coordinator.Store.
func (f *followed) Renew(
	ctx context.Context, renewal coordinator.Renewal,
) (coordinator.Membership, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	membership, err := f.Store.Renew(ctx, renewal)
	if err == nil {
		f.ends[renewal.Incarnation] = time.Now().Add(renewal.TTL)
	}
	return membership, err
}

// Resign implements coordinator.Store.
func (f *followed) Resign(ctx context.Context, incarnation coordinator.Incarnation) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.Store.Resign(ctx, incarnation)
	if err == nil {
		f.leave(incarnation)
	}
	return err
}

// OpenTurn implements coordinator.Store.
func (f *followed) OpenTurn(
	ctx context.Context, intent coordinator.Intent,
) (coordinator.Repository, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	repository, err := f.Store.OpenTurn(ctx, intent)
	p := f.paths[intent.Repository]
	if err != nil || p == nil || p.open == intent.Write {
		return repository, err
	}
	// A statement that comes twice, and late, opens another turn of the same name.
	delete(f.numbers, intent.Write)
	e := abstract.Event{
		Kind: abstract.Opened, Write: f.number(intent.Write), Proxy: f.number(intent.Incarnation),
		Nodes: f.set(intent.Participants), Generation: int(repository.Generation),
		Epoch: int(repository.Epoch), Primary: f.place(repository.Primary),
	}
	p.add(e)
	p.open, p.holder = intent.Write, intent.Incarnation
	if by, ok := ctx.Value(originKey{}).(*origin); ok {
		by.turn = e.Write
		if by.silent {
			p.add(abstract.Event{Kind: abstract.Unvoted, Write: e.Write})
		}
	}
	return repository, nil
}

// CloseTurn implements coordinator.Store.
func (f *followed) CloseTurn(
	ctx context.Context, id coordinator.RepositoryID, write coordinator.WriteID,
) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	wanted, err := f.Store.CloseTurn(ctx, id, write)
	if p := f.holds(id, write); err == nil && p != nil {
		if _, held := f.after(ctx, id, abstract.Event{}); !held {
			p.end(abstract.Event{Kind: abstract.Closed, Write: f.number(write)})
		}
	}
	return wanted, err
}

// MarkTurn implements coordinator.Store.
func (f *followed) MarkTurn(
	ctx context.Context, id coordinator.RepositoryID, write coordinator.WriteID,
	ended []coordinator.Storage,
) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.Store.MarkTurn(ctx, id, write, ended)
	if p := f.holds(id, write); err == nil && p != nil {
		p.add(abstract.Event{Kind: abstract.Marked, Write: f.number(write)})
	}
	return err
}

// Record implements coordinator.Store.
func (f *followed) Record(
	ctx context.Context, outcome coordinator.WriteOutcome,
) (coordinator.Recorded, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	recorded, err := f.Store.Record(ctx, outcome)
	if p := f.holds(outcome.Repository, outcome.Write); err == nil && p != nil {
		e := abstract.Event{
			Kind: abstract.Recorded, Write: f.number(outcome.Write), Outcome: abstract.Kept,
		}
		if made, ok := ctx.Value(madeKey{}).(transaction.Outcome); ok && made != transaction.Kept {
			e.Outcome = abstract.Undone
		}
		e, _ = f.after(ctx, outcome.Repository, e)
		p.end(e)
	}
	return recorded, err
}

// Confirm implements coordinator.Store.
func (f *followed) Confirm(ctx context.Context, late coordinator.LateConfirmation) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken, err := f.Store.Confirm(ctx, late)
	if p := f.paths[late.Repository]; err == nil && taken && p != nil {
		p.add(abstract.Event{Kind: abstract.Confirmed, Node: f.place(late.Storage)})
	}
	return taken, err
}

// Elect implements coordinator.Store.
func (f *followed) Elect(
	ctx context.Context, election coordinator.Election,
) (coordinator.Repository, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	repository, err := f.Store.Elect(ctx, election)
	if p := f.holds(election.Repository, election.Write); err == nil && p != nil {
		e, _ := f.after(ctx, election.Repository, abstract.Event{
			Kind: abstract.Elected, Write: f.number(election.Write),
		})
		p.end(e)
	}
	return repository, err
}
