package client

import (
	"context"
	"math/rand/v2"
	"time"

	"praefect/test/chaos/history"
)

// failurePause is how long a worker waits after a failure: whoever is refused at once would
// otherwise do nothing but fail.
const failurePause = 30 * time.Millisecond

// worker makes one call after the other.
type worker struct {
	world      *World
	number     int
	random     *rand.Rand
	connection *connection // nil when there is none
	calls      int         // how many are made through one
	guest      guest
	// deadline is that of reads. Who is patient keeps a connection on which calls take too long: it
	// may be just some of them.
	deadline time.Duration
	patient  bool
	// made is how many commits were made.
	made int
}

func newWorker(world *World, number int) *worker {
	return &worker{
		world: world, number: number, deadline: world.ReadDeadline, calls: callsPerConnection,
		random: rand.New(rand.NewPCG(world.Seed, uint64(number))),
	}
}

// connect returns the worker's connection, a new one now and then.
func (w *worker) connect() (*connection, error) {
	if w.connection != nil && w.connection.calls >= w.calls {
		w.close()
	}
	if w.connection == nil {
		var err error
		if w.connection, err = w.world.connect(); err != nil {
			return nil, err
		}
	}
	w.connection.calls++

	return w.connection, nil
}

// close gives up the connection.
func (w *worker) close() {
	if w.connection != nil {
		_ = w.connection.Close() // Nothing is under way.
		w.connection = nil
	}
}

// readerPause is how long readers wait between two reads, so that they do not take all the time
// from those who write.
const readerPause = 100 * time.Millisecond

// run works until the context ends, with a pause after each step that is longer after a failure.
func (w *worker) run(
	ctx context.Context, step func(ctx context.Context) bool, pause time.Duration,
) {
	for ctx.Err() == nil {
		w.world.working.RLock()
		well := step(ctx)
		w.world.working.RUnlock()
		wait := pause
		if !well {
			wait += failurePause
		}
		if wait == 0 {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// become makes the worker a reader.
func (w *worker) become() { w.deadline, w.patient = readerDeadline, true }

// readerDeadline is short: a reader samples what can be read, also while other reads hang.
const readerDeadline = time.Second

// watch reads the references that are written most.
func (w *worker) watch(ctx context.Context) bool {
	return w.listSome(ctx, w.anyStaying().path, "refs/heads/hot-*", "refs/heads/group-*") == nil
}

// anyStaying chooses one of the repositories that stay, the first more often than the others, so
// that writes queue there.
func (w *worker) anyStaying() *repository {
	all := w.world.staying
	if w.chance(busiestPercent) {
		return all[0]
	}

	return all[w.random.IntN(len(all))]
}

const busiestPercent = 15

// action is something that a worker may do; it tells whether it went well.
type action struct {
	weight int
	do     func(ctx context.Context, repo *repository) bool
}

// actions are what workers do, and how often. Pushes cost most: some twenty processes on each node.
func (w *worker) actions() []action {
	if w.world.Clash {
		return []action{{weight: 4, do: w.writeRef}, {weight: 1, do: w.writeHead}}
	}

	return []action{
		{weight: 9, do: w.writeRef},
		{weight: 3, do: w.writeRefDeletion},
		{weight: 8, do: w.updateSingles},
		{weight: 7, do: w.updateGroup},
		{weight: 8, do: w.deleteRefs},
		{weight: 5, do: w.pushSingle},
		{weight: 4, do: w.pushGroup},
		{weight: 2, do: w.pushSeveral},
		{weight: 8, do: w.writeHead},
		{weight: 8, do: w.setHooks},
		{weight: 12, do: w.beGuest},
		{weight: 10, do: w.listRefs},
		{weight: 8, do: w.listRefsOfPrimary},
		{weight: 8, do: w.findCommit},
		{weight: 4, do: w.readHead},
		{weight: 3, do: w.readHooks},
		{weight: 4, do: w.exists},
	}
}

func (w *worker) step(ctx context.Context) bool {
	actions := w.actions()
	total := 0
	for _, a := range actions {
		total += a.weight
	}
	repo := w.anyStaying()
	at := w.random.IntN(total)
	for _, a := range actions {
		if at -= a.weight; at < 0 {
			return a.do(ctx, repo)
		}
	}

	return true
}

// chance is true so many times of a hundred.
func (w *worker) chance(percent int) bool { return w.random.IntN(100) < percent }

// single chooses one of the references that are written singly: a hot one in half of all cases.
func (w *worker) single() string {
	names, _ := References()
	if w.world.Clash {
		return names[0]
	}
	if w.chance(50) {
		return names[w.random.IntN(hotReferences)]
	}

	return names[w.random.IntN(len(names))]
}

// twoSingles chooses two different ones.
func (w *worker) twoSingles() []string {
	first := w.single()
	for {
		if second := w.single(); second != first {
			return []string{first, second}
		}
	}
}

// intend returns an operation on a register; guarded, if so, by what it was last known to be.
func (w *worker) intend(key history.Key, value string, guarded bool) history.Operation {
	o := history.Operation{Key: key, Value: value}
	if guarded {
		o.Guarded, o.Old = true, w.world.latest(key)
	}

	return o
}
