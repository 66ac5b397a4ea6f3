package world

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"praefect/coordinator"
	"praefect/coordinator/memory"
	"praefect/test/chaos/history"
	"praefect/test/model/abstract"
)

const (
	// callsFor bounds the time in which clients make calls.
	callsFor = 12 * time.Second
	// healing bounds how long everything may take to be in order when nothing fails any more.
	healing = 60 * time.Second
	// healedPoll is how often is looked whether it is.
	healedPoll = 307 * time.Millisecond
)

// Result is what a run has shown.
type Result struct {
	Script Script
	// Hash is the same for equal runs.
	Hash uint64
	// Steps counts the effects, Faults those that happened.
	Steps, Faults int
	Report        history.Report
	// Diverged and Stuck say what was not in order in the end, Diverged also what the model does
	// not allow, Short which acknowledged writes
	// were on too few disks.
	Diverged, Stuck, Short []string
	// Events counts what was compared with the model.
	Events map[abstract.Kind]int
	Trace  string
}

// Lost counts lost and too few copies.
func (r Result) Lost() int { return len(r.Report.Lost) + len(r.Short) }

// Failed says that a promise was broken.
func (r Result) Failed() bool {
	return r.Lost()+len(r.Report.Stale)+len(r.Report.Torn)+len(r.Diverged)+len(r.Stuck) > 0
}

// world is one run.
type world struct {
	script   Script
	chance   *chance
	database *database
	nodes    []*node
	log      *zap.Logger
	recorder *history.Recorder
	// work are all goroutines.
	work sync.WaitGroup
	// stopped ends when clients are to stop.
	stopped context.Context //nolint:containedctx // it is the end of a phase
	stop    context.CancelFunc
	begun   time.Time
	verbose bool

	mu sync.Mutex // guards the fields below
	// proxies are the present lives; nil while one is down.
	proxies []*proxy
	links   []view
	// pending are the faults that happen at a step.
	pending []Fault
	passed  map[string]int
	// healed says that nothing breaks any more, judged that what happens does not count.
	healed, judged bool
	result         Result
	trace          strings.Builder
}

// Run plays a script. A verbose run keeps a trace, and what the product logs.
func Run(t *testing.T, script Script, verbose bool) Result {
	t.Helper()
	var result Result
	var operations []history.Operation
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, script, verbose)
		w.play()
		result, operations = w.result, w.recorder.Operations()
		result.Trace = w.trace.String()
	})
	result.judge(operations, history.Config{Settle: settling})
	return result
}

// judge adds what the history shows. What nobody could decide is no proof.
func (r *Result) judge(operations []history.Operation, config history.Config) {
	r.Report = history.Check(operations, config)
	for _, finding := range r.Report.Undecided {
		r.Stuck = append(r.Stuck, finding.Key.String()+": "+finding.Text)
	}
}

// settling is how long a change that was not acknowledged may be under way on a node.
const settling = voteDeadline + diskSlow + 4*time.Second

func newWorld(t *testing.T, script Script, verbose bool) *world {
	t.Helper()
	w := &world{
		script: script, chance: newChance(script.Seed), recorder: history.NewRecorder(),
		log: zap.NewNop(), begun: time.Now(), verbose: verbose, passed: map[string]int{},
		result: Result{Script: script, Hash: script.Seed},
	}
	if verbose {
		w.log = w.tracer()
	}
	w.stopped, w.stop = context.WithCancel(context.Background())
	for number := range script.Nodes {
		added := &node{
			world: w, name: fmt.Sprintf("gitaly-%d", number), disk: map[string]*content{},
		}
		added.restart()
		w.nodes = append(w.nodes, added)
	}
	for number := range script.Proxies {
		w.links = append(w.links, w.linksOf(number))
	}
	w.proxies = make([]*proxy, script.Proxies)
	w.database = &database{
		world: w, cuts: map[string]int{},
		store: newFollowed(memory.New(), w.cluster().VirtualStorages[virtualStorage].Storages),
	}
	if err := w.populate(); err != nil {
		t.Fatal(err)
	}
	return w
}

func proxyName(number int) string { return fmt.Sprintf("proxy-%d", number) }

func (w *world) linksOf(number int) view {
	links := view{}
	for _, to := range w.nodes {
		links[coordinator.Storage(to.name)] = &link{
			world: w, proxy: proxyName(number), node: to, up: true, known: time.Now(),
		}
	}
	return links
}

func (w *world) cluster() coordinator.Cluster {
	var storages []coordinator.Storage
	for _, n := range w.nodes {
		storages = append(storages, coordinator.Storage(n.name))
	}
	return coordinator.Cluster{
		VirtualStorages: map[coordinator.VirtualStorage]coordinator.VirtualStorageConfig{
			virtualStorage: {Storages: storages},
		},
	}
}

// populate begins with repositories that are there on all disks.
func (w *world) populate() error {
	ctx, store := context.Background(), w.database.store
	const operator = 1
	_, err := store.Enlist(ctx, coordinator.Enlistment{
		Incarnation: operator, Name: "operator", TTL: time.Second,
	})
	storages := w.cluster().VirtualStorages[virtualStorage].Storages
	for number := range repositories {
		id := coordinator.RepositoryID(number + 1)
		creation := coordinator.Creation{
			ID: id, Key: key(number), Incarnation: operator,
			ReplicaPath: coordinator.ReplicaPath(id, key(number).RelativePath),
			Primary:     storages[number%len(storages)], Participants: storages, Assigned: storages,
		}
		for _, n := range w.nodes {
			n.disk[creation.ReplicaPath] = &content{
				refs: map[string]string{}, done: map[int64]bool{},
			}
		}
		err = errors.Join(err, store.Create(ctx, creation), store.Complete(ctx, id),
			store.begin(ctx, id))
	}
	return errors.Join(err, store.Resign(ctx, operator))
}

// play is the run: calls and faults, then healing.
func (w *world) play() {
	for number := range w.proxies {
		w.startProxy(number)
	}
	// The proxies need a lease first.
	_ = pause(context.Background(), restless/10)
	w.arrange()
	var calling sync.WaitGroup
	for number := range clients {
		c := &client{world: w, number: number, seen: map[history.Key]string{}}
		for _, call := range w.script.Calls {
			if call.Client == number {
				c.calls = append(c.calls, call)
			}
		}
		calling.Go(c.run)
	}
	stopping := time.AfterFunc(callsFor, w.stop)
	calling.Wait()
	stopping.Stop()
	w.stop()
	w.heal()
	w.converge()
	w.mu.Lock()
	w.judged = true
	if !w.script.forgets() {
		w.result.Diverged = append(w.result.Diverged, w.database.store.drift()...)
		w.result.Events = w.database.store.counts()
	}
	w.mu.Unlock()
	for _, p := range w.proxies {
		p.process.kill()
	}
	w.work.Wait()
}

func (w *world) startProxy(number int) {
	p, err := newProxy(w, proxyName(number), w.links[number])
	if err != nil {
		w.fault(err.Error())
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proxies[number] = p
}

// proxyAt returns the proxy, or the next one that is there.
func (w *world) proxyAt(number int) *proxy {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.proxies {
		p := w.proxies[(number+i)%len(w.proxies)]
		if p != nil && !p.process.dead() {
			return p
		}
	}
	return nil
}
