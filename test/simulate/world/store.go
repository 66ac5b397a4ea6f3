package world

import (
	"context"
	"fmt"
	"sync"
	"time"

	"praefect/coordinator"
)

// The way to the store.
const (
	statementMin = 200 * time.Microsecond
	statementMax = 2 * time.Millisecond
	// lateMax is how much later a statement may be carried out than anybody waits for it.
	lateMax = 3 * time.Second
	// patienceMax is how long a connection waits for an answer that does not come.
	patienceMax = 4 * time.Second
	lossPercent = 25
)

// database is the store and what is wrong with it.
type database struct {
	world *world
	store *followed

	mu sync.Mutex // guards the fields below
	// away, slow and lossy count the faults.
	away, slow, lossy int
	// cuts counts those that keep a proxy from the store.
	cuts map[string]int
}

func (d *database) state(by string) (away, slow, lossy bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.away+d.cuts[by] > 0, d.slow > 0, d.lossy > 0
}

// cut keeps a proxy from the store, and returns how that ends.
func (d *database) cut(proxy string) func() {
	add := func(change int) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.cuts[proxy] += change
	}
	add(1)
	return func() { add(-1) }
}

// connection is the store as one proxy sees it. It implements [coordinator.Store].
type connection struct {
	// Nobody asks for these here.
	coordinator.Operator
	coordinator.Auditor

	database *database
	process  *process
	chance   *chance
}

// unavailable is the answer of a store that does not answer.
func unavailable(why string) error {
	return fmt.Errorf("%w: %s", coordinator.ErrMetadataUnavailable, why)
}

// ask carries a statement to the store, has it carried out, and brings the answer back.
func ask[T any](
	ctx context.Context, c *connection, name string, do func(context.Context) (T, error),
) (T, error) {
	var none T
	if c.process.gate() != nil {
		return none, unavailable("the proxy is gone")
	}
	w := c.database.world
	w.step(c.process, name+"/sent")
	if err := c.travel(ctx, name+">"); err != nil {
		if ctx.Err() != nil && c.chance.percent(lossPercent, c.process.life, name, "late") {
			c.later(name, func() {
				// Nobody waits for the answer.
				_, _ = do(context.Background())
			})
		}
		return none, err
	}
	answer, err := do(context.WithoutCancel(ctx))
	w.note(c.process.name, name, err)
	w.step(c.process, name+"/done")
	if lost := c.travel(ctx, name+"<"); lost != nil {
		return none, lost
	}
	w.step(c.process, name+"/answered")
	return answer, err
}

// later carries a statement out that nobody waits for any more.
func (c *connection) later(name string, do func()) {
	delay := c.chance.between(0, lateMax, c.process.life, name, "lateness")
	c.database.world.work.Go(func() {
		if pause(context.Background(), delay) != nil {
			return
		}
		if away, _, _ := c.database.state(c.process.name); !away {
			do()
			c.database.world.note(c.process.name, name+" late", nil)
		}
	})
}

// travel is one way to the store or back.
func (c *connection) travel(ctx context.Context, name string) error {
	if err := c.process.gate(); err != nil {
		return unavailable("the proxy is gone")
	}
	away, slow, lossy := c.database.state(c.process.name)
	switch {
	case away && c.chance.percent(50, c.process.life, name, "refused"):
		// Whoever leaves gets the same answer.
		_ = pause(ctx, statementMax)
		return unavailable("connection refused")
	case away, lossy && c.chance.percent(lossPercent, c.process.life, name, "lost"):
		bounded, cancel := context.WithTimeout(ctx, patienceMax)
		defer cancel()
		// There is none, however the wait ends.
		_ = c.wait(bounded, patienceMax)
		return unavailable("no answer")
	}
	most := statementMax
	if slow {
		most = patienceMax / 2
	}
	if err := c.wait(ctx, c.chance.between(statementMin, most, c.process.life, name)); err != nil {
		return err
	}
	return nil
}

func (c *connection) wait(ctx context.Context, delay time.Duration) error {
	if err := pause(ctx, delay); err != nil {
		return fmt.Errorf("%w: %w", coordinator.ErrMetadataUnavailable, err)
	}
	if c.process.gate() != nil {
		return unavailable("the proxy is gone")
	}
	return nil
}

// run is ask for statements that return nothing.
func (c *connection) run(
	ctx context.Context, name string, do func(context.Context) error,
) error {
	_, err := ask(ctx, c, name, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, do(ctx)
	})
	return err
}

// Listen implements [coordinator.Members]. Notices may be lost.
func (c *connection) Listen(ctx context.Context, receive func(coordinator.Notice)) error {
	return c.database.store.Listen(ctx, func(notice coordinator.Notice) {
		away, _, lossy := c.database.state(c.process.name)
		if away || lossy || c.process.gate() != nil ||
			c.chance.percent(lossPercent, c.process.life, "notice lost") {
			return
		}
		delay := c.chance.between(statementMin, statementMax, c.process.life, "notice")
		if pause(ctx, delay) == nil {
			receive(notice)
		}
	})
}
