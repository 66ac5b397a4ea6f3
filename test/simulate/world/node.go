package world

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"praefect/transaction"
)

// Times of nodes.
const (
	diskMin = 300 * time.Microsecond
	diskMax = 4 * time.Millisecond
	// diskSlow is how long a change may take on a slow disk.
	diskSlow = 1500 * time.Millisecond
	// voteDeadline is after what time a node gives up a vote that nobody answers.
	voteDeadline = 10 * time.Second
)

// What nodes answer.
var (
	errLocked   = errors.New("reference is locked")
	errStale    = errors.New("reference has another value")
	errAborted  = errors.New("transaction was aborted")
	errNoSuch   = errors.New("no such repository")
	errPresent  = errors.New("repository exists")
	errNodeGone = errors.New("node does not answer")
)

// exists is the register that says whether a repository is there.
const exists = "exists"

// content is a repository on a disk.
type content struct {
	refs map[string]string
	// done are the changes that this state has come from.
	done map[int64]bool
}

func (c *content) copy() *content {
	return &content{refs: maps.Clone(c.refs), done: maps.Clone(c.done)}
}

// digest is the same for equal contents only.
func (c *content) digest() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c.refs)) {
		fmt.Fprintf(&b, "%s=%s ", name, c.refs[name])
	}
	return "refs:" + b.String()
}

// node is a node and its disk. The disk outlives the processes.
type node struct {
	world *world
	name  string

	mu      sync.Mutex // guards the fields below
	process *process
	disk    map[string]*content
	// locks are held by changes of the present process.
	locks map[string]int64
	slow  int
}

func (n *node) current() *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.process
}

// restart begins another process, for which no lock of an earlier one counts.
func (n *node) restart() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.process = newProcess(n.world.chance, n.name)
	n.locks = map[string]int64{}
}

// visit is one call being carried out by one process of the node.
type visit struct {
	*node
	life *process
	call request
}

// request is what a proxy asks of a node.
type request struct {
	path   string
	steps  []change
	create bool
	// silent changes without a vote, gated asks for the turn before it takes locks.
	silent, gated bool
	vote          func(context.Context, transaction.Phase, transaction.Vote) (bool, error)
	// applied, if there, is called when the disk has changed.
	applied func()
}

// change is one reference transaction.
type change struct {
	id      int64
	updates []update
}

type update struct {
	name, value string
	guarded     bool
	old         string
}

// hash is what is voted on.
func (c change) hash() transaction.Vote {
	state := uint64(0xcbf29ce484222325)
	for _, u := range c.updates {
		state = hash(state, u.name+"="+u.value)
	}
	var vote transaction.Vote
	for i := range vote {
		vote[i] = byte(mix(state+uint64(i))) | 1
	}
	return vote
}

// run carries out a call as Git and its hooks do.
func (v visit) run(ctx context.Context) error {
	for _, step := range v.call.steps {
		if err := v.step(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

func (v visit) step(ctx context.Context, step change) error {
	if v.call.silent {
		if err := v.lock(step); err != nil {
			return err
		}
		return v.apply(ctx, step)
	}
	hash := step.hash()
	if v.call.gated {
		if err := v.ballot(ctx, transaction.Preparing, hash); err != nil {
			return err
		}
	}
	if err := v.lock(step); err != nil {
		return err
	}
	if err := v.ballot(ctx, transaction.Prepared, hash); err != nil {
		v.unlock(step)
		return err
	}
	if err := v.apply(ctx, step); err != nil {
		return err
	}
	return v.ballot(ctx, transaction.Committed, hash)
}

// ballot casts a vote, within the node's own deadline.
func (v visit) ballot(
	ctx context.Context, phase transaction.Phase, hash transaction.Vote,
) error {
	bounded, cancel := context.WithTimeout(ctx, voteDeadline)
	defer cancel()
	commit, err := v.call.vote(bounded, phase, hash)
	if gone := v.life.gate(); gone != nil {
		return gone
	}
	switch {
	case err != nil:
		return err
	case !commit:
		return errAborted
	}
	return nil
}

// lock takes the locks of a change and looks at what is there.
func (v visit) lock(step change) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.life != v.process {
		return errGone
	}
	found := v.disk[v.call.path]
	switch {
	case v.call.create && found != nil:
		return errPresent
	case !v.call.create && found == nil:
		return errNoSuch
	}
	if err := v.allows(found, step); err != nil {
		return err
	}
	for _, u := range step.updates {
		v.locks[v.call.path+" "+u.name] = step.id
	}
	return nil
}

// allows says whether a change could be made now.
func (v visit) allows(found *content, step change) error {
	for _, u := range step.updates {
		switch {
		case v.locks[v.call.path+" "+u.name] != 0:
			return errLocked
		case found != nil && u.guarded && found.refs[u.name] != u.old:
			return errStale
		}
	}
	return nil
}

func (v visit) unlock(step change) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.free(step)
}

func (v visit) free(step change) {
	if v.life != v.process {
		return
	}
	for _, u := range step.updates {
		if v.locks[v.call.path+" "+u.name] == step.id {
			delete(v.locks, v.call.path+" "+u.name)
		}
	}
}

// apply changes the disk, unless the process died before.
func (v visit) apply(ctx context.Context, step change) error {
	// That the process died meanwhile is found below, under the lock.
	_ = v.write(ctx)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.life != v.process || v.life.dead() {
		return errGone
	}
	if !v.holds(step) {
		return errLocked // Its locks went with the repository.
	}
	v.free(step)
	found := v.disk[v.call.path]
	switch {
	case v.call.create && found == nil:
		found = &content{refs: map[string]string{}, done: map[int64]bool{}}
		v.disk[v.call.path] = found
	case found == nil:
		return errNoSuch
	}
	for _, u := range step.updates {
		if u.value == "" {
			delete(found.refs, u.name)
		} else {
			found.refs[u.name] = u.value
		}
	}
	found.done[step.id] = true
	v.world.note(v.name, fmt.Sprintf("applied %d", step.id), nil)
	if v.call.applied != nil {
		v.call.applied()
	}
	return nil
}

func (v visit) holds(step change) bool {
	return !slices.ContainsFunc(step.updates, func(u update) bool {
		return v.locks[v.call.path+" "+u.name] != step.id
	})
}

// write waits for the disk. What Git has begun to write it writes, whoever lost interest.
func (v visit) write(context.Context) error {
	v.mu.Lock()
	slow := v.slow > 0
	v.mu.Unlock()
	most := diskMax
	if slow {
		most = diskSlow
	}
	err := pause(v.life.alive, v.world.chance.between(diskMin, most, v.name, "disk"))
	if gone := v.life.gate(); gone != nil {
		return gone
	}
	return err
}

// look returns what is on the disk.
func (n *node) look(path string) *content {
	n.mu.Lock()
	defer n.mu.Unlock()
	if found := n.disk[path]; found != nil {
		return found.copy()
	}
	return nil
}

// replace makes the replica equal to another one, unless a reference that differs is locked.
func (v visit) replace(ctx context.Context, with *content) error {
	if err := v.write(ctx); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.life != v.process || ctx.Err() != nil {
		return errGone
	}
	found := v.disk[v.call.path]
	for name := range v.locks {
		path, ref, _ := strings.Cut(name, " ")
		if path == v.call.path && (found == nil || found.refs[ref] != with.refs[ref]) {
			return errLocked
		}
	}
	v.disk[v.call.path] = with
	v.world.note(v.name, "copied", nil)
	return nil
}

// remove deletes the replica.
func (v visit) remove(ctx context.Context) error {
	if err := v.write(ctx); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.life != v.process || ctx.Err() != nil {
		return errGone
	}
	delete(v.disk, v.call.path)
	maps.DeleteFunc(v.locks, func(name string, _ int64) bool {
		return strings.HasPrefix(name, v.call.path+" ")
	})
	v.world.note(v.name, "removed", nil)
	return nil
}
