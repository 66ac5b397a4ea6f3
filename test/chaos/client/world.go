package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"praefect/test/chaos/history"
)

// Names of registers beside references.
const (
	// RegisterHead is where HEAD points to.
	RegisterHead = "HEAD"
	// RegisterHooks are the custom hooks.
	RegisterHooks = "custom_hooks"
	// RegisterExists is "present" while the repository exists.
	RegisterExists = "exists"
	// Present is its value.
	Present = "present"
	// Group is the group of references that change together.
	Group = "group"
)

const (
	// hotReferences are written all the time, so that writes meet each other.
	hotReferences = 3
	// coldReferences are written now and then, so that what went wrong with one is not covered up
	// by the next write.
	coldReferences  = 40
	groupReferences = 3
)

// References are those that are written in the repositories that stay: single ones, the first of
// them more often than the others, and a group.
func References() (single, group []string) {
	for i := range hotReferences {
		single = append(single, fmt.Sprintf("refs/heads/hot-%d", i))
	}
	for i := range coldReferences {
		single = append(single, fmt.Sprintf("refs/heads/cold-%02d", i))
	}
	for i := range groupReferences {
		group = append(group, fmt.Sprintf("refs/heads/group-%d", i))
	}

	return single, group
}

// GroupOf names the group of a register; empty for none.
func GroupOf(name string) string {
	if strings.HasPrefix(name, "refs/heads/group-") {
		return Group
	}

	return ""
}

// Config describes a world.
type Config struct {
	// Address is the balancer's (host:port), Storage the virtual storage, Token what it demands.
	Address, Storage, Token string
	// Behind names the proxy to which a connection with this local address goes.
	Behind func(local net.Addr) string
	Seed   uint64
	// Workers and Repositories are how many there are; Commits is how many values each repository
	// has in store for calls that bring no objects.
	Workers, Repositories, Commits int
	// Readers is how many workers there are besides that do nothing but ordinary reads of what is
	// written most.
	Readers int
	// Clash has the workers write the same few registers of a repository and nothing else.
	Clash bool
	// WriteDeadline and ReadDeadline are those of calls.
	WriteDeadline, ReadDeadline time.Duration
}

// World is what workers share.
type World struct {
	Config

	recorder *history.Recorder
	chain    chain
	packed   []byte
	staying  []*repository
	// working is held for reading by workers at work, and for writing while they rest.
	working sync.RWMutex

	mu sync.Mutex // guards the fields below
	// passing are the repositories that came and may have gone.
	passing  []Passing
	known    map[history.Key]string
	attempts []Attempt
}

// repository is one that stays.
type repository struct {
	path string
	// used is how many commits of the chain were given out.
	used atomic.Int64
}

// Passing is a repository that comes and goes. Each time it has another key.
type Passing struct {
	Path string
	// Key is the repository of the keys of its references; its existence is under its path.
	Key string
}

// NewWorld returns a world that records into a recorder.
func NewWorld(recorder *history.Recorder, config Config) (*World, error) {
	made, err := newChain(config.Commits)
	if err != nil {
		return nil, err
	}
	packed, err := pack(made.objects)
	if err != nil {
		return nil, err
	}

	w := &World{
		Config: config, recorder: recorder, chain: made, packed: packed,
		known: make(map[history.Key]string),
	}
	for i := range config.Repositories {
		w.staying = append(w.staying, &repository{path: fmt.Sprintf("stay/%d.git", i)})
	}

	return w, nil
}

// Prepare creates the repositories that stay, with the values that they have in store.
func (w *World) Prepare(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for i, repo := range w.staying {
		group.Go(func() error {
			worker := newWorker(w, -1-i)
			defer worker.close()

			return worker.prepare(ctx, repo)
		})
	}

	return group.Wait()
}

// Run lets all workers work until the context ends, and returns when the last call has ended.
func (w *World) Run(ctx context.Context) {
	var working sync.WaitGroup
	for number := range w.Workers + w.Readers {
		working.Go(func() {
			worker := newWorker(w, number)
			defer worker.close()
			if number < w.Workers {
				worker.run(ctx, worker.step, 0)
			} else {
				worker.become()
				worker.run(ctx, worker.watch, readerPause)
			}
		})
	}
	working.Wait()
}

// Rest waits until no worker has a call under way, and keeps all from beginning another until the
// returned function is called.
func (w *World) Rest() (resume func()) {
	w.working.Lock()

	return w.working.Unlock
}

// Staying returns the paths of the repositories that stay.
func (w *World) Staying() []string {
	var paths []string
	for _, repo := range w.staying {
		paths = append(paths, repo.path)
	}

	return paths
}

// Passing returns the repositories that came and may have gone.
func (w *World) Passing() []Passing {
	w.mu.Lock()
	defer w.mu.Unlock()

	return slices.Clone(w.passing)
}

// Attempts returns all writes that have ended.
func (w *World) Attempts() []Attempt {
	w.mu.Lock()
	defer w.mu.Unlock()

	return slices.Clone(w.attempts)
}

func (w *World) appear(p Passing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.passing = append(w.passing, p)
}

// anyPassing chooses one of the latest.
func (w *World) anyPassing(random *rand.Rand) (Passing, bool) {
	const latest = 10

	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.passing) == 0 {
		return Passing{}, false
	}
	recent := w.passing[max(0, len(w.passing)-latest):]

	return recent[random.IntN(len(recent))], true
}

// learn remembers what a register was seen or made to be, for the next who wants to guard a write.
func (w *World) learn(operations []history.Operation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range operations {
		if o.Result == history.Acknowledged && (o.Action == history.Write || o.Primary) {
			w.known[o.Key] = o.Value
		}
	}
}

func (w *World) latest(key history.Key) string {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.known[key]
}

// nextCommit gives out a commit that this repository has in store and nobody has used.
func (w *World) nextCommit(repo *repository) (string, bool) {
	// The first is the parent of what is pushed, the last the tip of the branch that has them all.
	n := int(repo.used.Add(1))
	if n >= len(w.chain.commits)-1 {
		return "", false
	}

	return w.chain.commits[n], true
}
