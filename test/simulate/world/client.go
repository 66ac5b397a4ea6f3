package world

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"praefect/coordinator"
	"praefect/test/chaos/history"
	"praefect/transaction"
)

// client makes its calls one after the other.
type client struct {
	world  *world
	number int
	calls  []Call
	// seen are the values that it knows of.
	seen map[history.Key]string
}

func (c *client) run() {
	for i, call := range c.calls {
		if c.world.stopped.Err() != nil {
			return
		}
		name := fmt.Sprintf("client-%d", c.number)
		// A nanosecond of its own, so that clients do not begin at once.
		wait := call.Pause + c.world.chance.between(0, 1000, name, "think")
		if pause(c.world.stopped, wait) != nil {
			return
		}
		c.world.count()
		id := int64(c.number+1)*1000 + int64(i)
		c.do(id, call)
	}
}

// do makes one call, which must end by itself even if its proxy dies.
func (c *client) do(id int64, call Call) {
	via := c.world.proxyAt(call.Proxy)
	if via == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if call.Patience > 0 {
		ctx, cancel = context.WithTimeout(ctx, call.Patience)
		defer cancel()
	}
	from := c.world.recorder.Now()
	sent := c.changes(id, call)
	answers := make(chan answer, 1)
	c.world.work.Go(func() { answers <- c.ask(ctx, via, call, sent) })
	got := answer{err: errGone, outcome: coordinator.OutcomeUnknown}
	select {
	case found := <-answers:
		// A frozen proxy answers when it goes on, a dead one never.
		if via.process.gate() == nil {
			got = found
			c.world.database.store.answered(got)
		}
	case <-via.process.alive.Done():
	case <-ctx.Done():
	}
	got.sent = sent
	c.note(id, call, got, history.Operation{
		Start: from, End: c.world.recorder.Now(), Via: via.process.name, Client: c.number,
		Call: id, Method: string(call.Kind),
	})
}

// answer is what a client is told.
type answer struct {
	outcome coordinator.Outcome
	err     error
	// values are what a read found, by register.
	values map[string]string
	// sent are the changes of a write; copies on how many disks it must be.
	sent   []change
	copies int
	path   string
	// turn is the last one of a write.
	turn       int
	repository coordinator.RepositoryID
}

func key(repository int) coordinator.Key {
	return coordinator.Key{
		VirtualStorage: virtualStorage, RelativePath: fmt.Sprintf("repository-%d.git", repository),
	}
}

func register(number int) string { return fmt.Sprintf("refs/heads/%d", number) }

// members are the registers that are only changed together.
func members() []string { return []string{"refs/group/a", "refs/group/b"} }

func (c *client) ask(ctx context.Context, via *proxy, call Call, sent []change) answer {
	switch call.Kind {
	case Look, LookPrimary:
		return via.read(ctx, key(call.Repository), call.Kind == LookPrimary)
	case Remove:
		return via.removal(ctx, key(call.Repository))
	case Create:
		return via.creation(ctx, key(call.Repository), sent)
	case Push, PushTwo, Atomic, Locked, Fetch, Delete:
	}
	return via.change(ctx, key(call.Repository), sent, call.Kind)
}

// changes are the reference transactions of a write.
func (c *client) changes(id int64, call Call) []change {
	names := []string{register(call.Register)}
	switch call.Kind {
	case Create:
		return []change{{id: id * 10, updates: []update{{name: exists, value: "yes"}}}}
	case PushTwo:
		names = append(names, register((call.Register+1)%registers))
	case Atomic:
		names = members()
	case Push, Locked, Fetch, Delete, Look, LookPrimary, Remove:
	}
	changes := []change{{id: id * 10}}
	for i, name := range names {
		if i > 0 && call.Kind != Atomic {
			changes = append(changes, change{id: id*10 + int64(i)})
		}
		last := &changes[len(changes)-1]
		last.updates = append(last.updates, c.update(id, call, name))
	}
	return changes
}

func (c *client) update(id int64, call Call, name string) update {
	changed := update{name: name, value: fmt.Sprintf("v%d", id)}
	if call.Kind == Delete {
		changed.value = ""
		return changed
	}
	if old, known := c.seen[c.key(call, name)]; known && call.Guarded && call.Kind != Atomic {
		changed.guarded, changed.old = true, old
	}
	return changed
}

func (c *client) key(call Call, name string) history.Key {
	return history.Key{Repository: key(call.Repository).RelativePath, Name: name}
}

// note puts what a call has shown into the history.
func (c *client) note(id int64, call Call, got answer, common history.Operation) {
	common.Result = result(got)
	if got.err != nil {
		common.Detail = got.err.Error()
	}
	c.world.note(fmt.Sprintf("client-%d", c.number),
		fmt.Sprintf("%d %s %s", id, call.Kind, common.Result), got.err)
	var all []history.Operation
	switch call.Kind {
	case Look, LookPrimary:
		all = c.reads(call, got, common)
	case Create, Remove:
		all = []history.Operation{c.life(call, common)}
	case Push, PushTwo, Atomic, Locked, Fetch, Delete:
		all = c.writes(call, got, common)
	}
	c.world.recorder.Add(all...)
	if common.Result == history.Acknowledged && got.copies > 0 {
		c.world.countCopies(got)
	}
}

func result(got answer) history.Result {
	switch {
	case got.err == nil:
		return history.Acknowledged
	case got.outcome == coordinator.OutcomeNone:
		return history.Refused
	default:
		return history.Unknown
	}
}

func (c *client) reads(call Call, got answer, common history.Operation) []history.Operation {
	if call.Repository == lifecycle && errors.Is(got.err, coordinator.ErrRepositoryNotFound) {
		got.err, common.Result = nil, history.Acknowledged
	}
	if got.err != nil {
		return nil
	}
	common.Action, common.Primary = history.Read, call.Kind == LookPrimary
	if call.Repository == lifecycle {
		return []history.Operation{reading(
			key(lifecycle).RelativePath, exists, got.values, common)}
	}
	all := readings(key(call.Repository).RelativePath, got.values, common)
	for _, o := range all {
		c.seen[o.Key] = o.Value
	}
	return all
}

// readings are one look at all registers of a repository.
func readings(
	path string, values map[string]string, common history.Operation,
) []history.Operation {
	var all []history.Operation
	for number := range registers {
		all = append(all, reading(path, register(number), values, common))
	}
	common.Group = "group"
	for _, name := range members() {
		all = append(all, reading(path, name, values, common))
	}
	return all
}

func reading(
	path, name string, values map[string]string, common history.Operation,
) history.Operation {
	common.Key = history.Key{Repository: path, Name: name}
	common.Value = values[name]
	return common
}

func (c *client) writes(call Call, got answer, common history.Operation) []history.Operation {
	var all []history.Operation
	for _, step := range got.sent {
		for _, u := range step.updates {
			o := common
			o.Action, o.Key, o.Value = history.Write, c.key(call, u.name), u.value
			o.Guarded, o.Old = u.guarded, u.old
			if call.Kind == Atomic {
				o.Group = "group"
			}
			all = append(all, o)
			if o.Result == history.Acknowledged {
				c.seen[o.Key] = u.value
			}
		}
	}
	return all
}

func (c *client) life(call Call, common history.Operation) history.Operation {
	common.Action, common.Key, common.Value = history.Write, c.key(call, exists), "yes"
	if call.Kind == Remove {
		common.Value = ""
	}
	return common
}

// read asks one replica, and another one if that fails.
func (p *proxy) read(ctx context.Context, key coordinator.Key, primary bool) answer {
	var tried []coordinator.Storage
	failed := errNodeGone
	for range 3 {
		route, err := p.coordinator.Read(ctx, key, coordinator.ReadOptions{
			PrimaryOnly: primary, Exclude: tried,
		})
		if err != nil {
			return answer{err: errors.Join(err, failed)}
		}
		var values map[string]string
		_, err = p.links[route.Storage].call(ctx, p.process, request{path: route.ReplicaPath},
			func(_ context.Context, at visit) error {
				found := at.look(route.ReplicaPath)
				if found == nil {
					return errNoSuch
				}
				values = found.refs
				return nil
			})
		route.Done()
		if err == nil {
			return answer{values: values}
		}
		tried, failed = append(tried, route.Storage), err
	}
	return answer{err: failed}
}

// gateOf says where the nodes wait for the turn.
func gateOf(kind CallKind) transaction.Gate {
	switch kind {
	case Locked, Delete:
		return transaction.GateHeld
	case Fetch:
		return transaction.GatePrepared
	case Create:
		return transaction.GateNone
	case Push, PushTwo, Atomic, Look, LookPrimary, Remove:
	}
	return transaction.GateVotes
}

// change is a write from its routing to its answer.
func (p *proxy) change(
	ctx context.Context, key coordinator.Key, sent []change, kind CallKind,
) answer {
	ctx = (&origin{silent: kind == Delete}).in(ctx)
	write, err := p.coordinator.BeginWrite(ctx, key, coordinator.WriteOptions{
		Kind: "references", Turn: gateOf(kind),
	})
	if err != nil {
		return answer{err: err}
	}
	return p.carry(ctx, write, kind, request{
		steps: sent, silent: kind == Delete,
		gated: slices.Contains([]CallKind{Push, PushTwo, Atomic}, kind),
	})
}

func (p *proxy) carry(
	ctx context.Context, write *coordinator.Write, kind CallKind, ask request,
) answer {
	plan := write.Plan()
	got := answer{copies: plan.MinimumCopies, path: plan.ReplicaPath}
	run, err := p.begin(ctx, write, gateOf(kind), ask)
	if err != nil {
		got.outcome, _ = write.Finish(ctx, coordinator.Result{})
		got.err = err
		return got
	}
	got.outcome, got.err = run.carry(ctx)
	got.turn, got.repository = run.origin.turn, run.origin.repository
	return got
}

func (p *proxy) creation(
	ctx context.Context, key coordinator.Key, sent []change,
) answer {
	write, err := p.coordinator.BeginCreation(ctx, key, coordinator.CreationOptions{})
	if err != nil {
		return answer{err: err}
	}
	return p.carry(ctx, write, Create, request{create: true, steps: sent})
}

func (p *proxy) removal(ctx context.Context, key coordinator.Key) answer {
	_, err := p.coordinator.BeginRemoval(ctx, key)
	switch {
	case err == nil:
		return answer{outcome: coordinator.OutcomeRecorded}
	case errors.Is(err, coordinator.ErrRepositoryNotFound), errors.Is(err, coordinator.ErrBusy):
		return answer{err: err}
	}
	return answer{err: err, outcome: coordinator.OutcomeUnknown}
}
