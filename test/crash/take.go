package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"praefect/coordinator/postgres/pgserver"
	"praefect/test/cluster"
	"praefect/transaction/failpoint"
)

const (
	// promised is the design's promise for what has been decided.
	promised = 10 * time.Second
	// healed bounds the repair of what the victim missed: node_deadline may have to pass first.
	healed = 30 * time.Second
	// frozenMax allows for nodes that wait for a frozen proxy until their own deadline.
	frozenMax = voteTimeout + promised
	// settledMax allows for nodes that a proxy which died in that instant has, or may have, told to
	// commit: until their own deadline they are not repaired, and a write needs them.
	settledMax = nodeDeadline + promised
	// reachable bounds the wait for a point, and everything that a client may wait for.
	reachable = 25 * time.Second
	// caseMax bounds a case; every step of it has a bound of its own.
	caseMax = 5 * time.Minute
	// outage is how long PostgreSQL is away.
	outage = 500 * time.Millisecond
	// moment is what a node may take to commit.
	moment = time.Second
	// tries is how often a case is begun anew that did not come to its point.
	tries = 6
	// tick is how often expectations are looked at.
	tick = 50 * time.Millisecond
)

// errPending stands for an answer that the client does not have yet.
var errPending = errors.New("not answered yet")

// take is one case being tried on a stage.
type take struct {
	trial
	stage *stage
	goods *material
	path  string

	// slack multiplies what the survivors may take.
	slack int
	// last says that there is no other try.
	last bool

	// first is the proxy that carries the operation, carrier the client on it.
	first   *cluster.Proxy
	carrier *client
	// primary and secondary are those of the repository, down a node that lead has killed.
	primary, secondary, down *cluster.Node

	// begun and held belong to an operation that lead has begun.
	begun      chan answer
	held       *stop
	background sync.WaitGroup

	// acted delivers the answer of the operation.
	acted chan answer
	// answer is what the client was told.
	answer answer
	// tried is what the write after the fault sets the reference to, rewritten says that it did.
	tried     string
	rewritten bool
	// stale is a read that has missed it.
	stale error
	// struck says that the fault has happened, settled is how long the survivors needed.
	struck  atomic.Bool
	settled time.Duration
}

// perform tries the case. The error says what failed.
func (t *take) perform(ctx context.Context) (err error) {
	t.first, t.path = t.stage.Proxies()[0], newPath()
	t.answer, t.acted = answer{err: errPending}, make(chan answer, 1)
	if t.carrier, err = t.stage.dial(t.first, t.path); err != nil {
		return err
	}
	defer t.carrier.close()
	defer t.background.Wait()
	ctx, cancel := context.WithTimeout(ctx, caseMax)
	defer cancel()
	defer t.stage.stops.disarm()
	defer func() {
		if t.held != nil {
			t.held.release()
		}
	}()

	if err := t.prepare(ctx); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	if err := t.strike(ctx); err != nil {
		return err
	}
	begin, limit := time.Now(), t.limit()
	if t.victim != victimFrozen {
		if err := t.hear(); err != nil {
			return err
		}
	}
	// What the client has waited for its answer counts too.
	left := limit - time.Since(begin)
	if left <= 0 {
		return fmt.Errorf("the client was answered %s after the fault, and nothing else may take "+
			"longer than %s", limit-left, limit)
	}
	if err := t.await(ctx, left, t.recovered); err != nil {
		return fmt.Errorf("%s after the fault: %w", limit, err)
	}
	t.settled = time.Since(begin)

	return t.conclude(ctx)
}

// limit is how long the survivors may take.
func (t *take) limit() time.Duration {
	limit := promised
	switch {
	case t.victim == victimFrozen:
		limit = frozenMax
	case t.victim == victimProxy && t.point == failpoint.FirstCommitTold:
		limit = settledMax
	}

	return limit * time.Duration(t.slack)
}

// conclude brings everybody back and waits until all is well.
func (t *take) conclude(ctx context.Context) error {
	if err := t.stage.heal(ctx); err != nil {
		return fmt.Errorf("bring everybody back: %w", err)
	}
	if t.victim == victimFrozen {
		if err := t.hear(); err != nil {
			return err
		}
	}
	if err := t.await(ctx, healed, t.whole); err != nil {
		return fmt.Errorf("%s after all are back: %w", healed, err)
	}

	return nil
}

// hear waits for what the client is told.
func (t *take) hear() error {
	select {
	case t.answer = <-t.acted:
		return nil
	case <-time.After(reachable):
		return fmt.Errorf("the client is not answered after %s", reachable)
	}
}

// prepare makes the repository and what the scene needs before its point.
func (t *take) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reachable)
	defer cancel()
	if t.scene.empty {
		return nil
	}
	if got := t.persist(ctx, t.carrier.create); got.err != nil && !exists(got.err) {
		return fmt.Errorf("create repository: %w", got.err)
	}
	got := t.persist(ctx, func(ctx context.Context) answer {
		return t.carrier.push(ctx, t.goods, base(t.goods), pushAtomic)
	})
	if got.err != nil {
		return fmt.Errorf("push base: %w", got.err)
	}
	if err := t.await(ctx, reachable, t.allCurrent); err != nil {
		return err
	}

	return t.identify(ctx)
}

// persist tries a write again as long as it surely did not happen: connections to a PostgreSQL that
// the case before has killed may still be found broken.
func (t *take) persist(ctx context.Context, write func(context.Context) answer) answer {
	for {
		got := write(ctx)
		if !got.nothing() || t.struck.Load() || !t.pause(ctx) {
			return got
		}
	}
}

// strike brings the operation to the point and kills the victim there.
func (t *take) strike(ctx context.Context) error {
	if t.scene.lead != nil {
		if err := t.scene.lead(ctx, t); err != nil {
			return fmt.Errorf("prepare scene: %w", err)
		}
	}
	only := t.first.Process().PID()
	if t.scene.anyProxy {
		only = 0
	}
	stop := t.stage.stops.arm(t.point, only, t.scene.skip)
	defer stop.release()

	t.background.Go(func() { t.acted <- t.scene.act(ctx, t) })
	process, err := t.reach(ctx, stop)
	if err != nil {
		return err
	}
	t.struck.Store(true)
	if err := t.kill(process); err != nil {
		return fmt.Errorf("kill %s: %w", t.victim, err)
	}
	stop.release()
	if err := t.revive(ctx); err != nil {
		return err
	}
	if t.scene.aftermath != nil {
		if err := t.scene.aftermath(ctx, t); err != nil {
			return fmt.Errorf("go on after the fault: %w", err)
		}
	}

	return nil
}

// reach waits until a process stands at the point and finds out who takes part there.
func (t *take) reach(ctx context.Context, stop *stop) (process int, err error) {
	if process, err = t.awaitArrival(stop); err != nil {
		return 0, err
	}
	if t.secondary == nil || t.down != nil {
		if err := t.identify(ctx); err != nil {
			return process, err
		}
	}
	if t.point == failpoint.FirstCommitTold && !t.last {
		return process, t.watchFirst(ctx)
	}

	return process, nil
}

func (t *take) awaitArrival(stop *stop) (process int, err error) {
	limit := time.After(reachable)
	ended := t.acted
	for {
		select {
		case process = <-stop.reached:
			return process, nil
		case got := <-ended:
			ended = nil // It may be somebody else who comes to the point.
			t.acted <- got
			if got.err != nil && !t.scene.anyProxy {
				return 0, fmt.Errorf("the operation ends before the point: %w", got.err)
			}
		case <-limit:
			return 0, errors.New("the point is not reached")
		}
	}
}

// errUntold says that the first answer has not left the proxy: the call that carries it is the one
// that stands at the point.
var errUntold = errors.New("nobody has committed")

// watchFirst gives the node that was told to commit a moment to do so, until its replica differs
// from the others.
func (t *take) watchFirst(ctx context.Context) error {
	err := t.await(ctx, moment, func(ctx context.Context) error {
		found, err := t.stage.look(ctx, t.path)
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		for _, node := range t.stage.Nodes() {
			// One that is not there yet differs from one that is.
			content, _ := readState(ctx, node, found.replicaPath)
			seen[content.text] = true
		}
		if len(seen) == 1 {
			return errors.New("all replicas are equal")
		}

		return nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errUntold, err)
	}

	return nil
}

// identify finds the nodes of the repository.
func (t *take) identify(ctx context.Context) error {
	found, err := t.stage.look(ctx, t.path)
	if err != nil {
		return err
	}
	t.primary, t.secondary = nil, nil
	for _, node := range t.stage.Nodes() {
		switch {
		case node.Storage == found.primary:
			t.primary = node
		case node != t.down && t.secondary == nil:
			t.secondary = node
		}
	}
	if t.primary == nil || t.secondary == nil {
		return fmt.Errorf("no primary or no secondary: %+v", found)
	}

	return nil
}

// kill ends the victim.
func (t *take) kill(process int) error {
	switch t.victim {
	case victimPrimary:
		return t.primary.Kill()
	case victimSecondary:
		return t.secondary.Kill()
	case victimDatabase:
		return t.stage.Server().Halt(pgserver.Immediate)
	case victimProxy, victimFrozen:
		for _, proxy := range t.stage.Proxies() {
			switch {
			case proxy.Process().PID() != process:
			case t.victim == victimFrozen:
				return t.freeze(proxy.Process())
			default:
				return proxy.Process().Kill()
			}
		}
	}

	return fmt.Errorf("nobody has the process id %d", process)
}

// freeze stops a process and waits until it does nothing any more.
func (t *take) freeze(process *cluster.Process) error {
	if err := process.Pause(); err != nil {
		return err
	}

	return t.await(context.Background(), moment, func(context.Context) error {
		return stopped(process.PID())
	})
}

// revive starts PostgreSQL again if it is the victim: nobody survives without it.
func (t *take) revive(ctx context.Context) error {
	if t.victim != victimDatabase {
		return nil
	}
	select {
	case <-time.After(outage):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := t.stage.Server().Resume(ctx); err != nil {
		return fmt.Errorf("start PostgreSQL again: %w", err)
	}

	return nil
}

// await looks at an expectation until it is met.
func (t *take) await(
	ctx context.Context, limit time.Duration, expectation func(context.Context) error,
) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	for {
		err := expectation(ctx)
		if err == nil {
			return nil
		}
		if last == nil || !overdue(ctx, err) {
			last = err
		}
		if !t.pause(ctx) {
			return last
		}
	}
}

// overdue says that the end of the time has caused the error, which therefore says nothing.
func overdue(ctx context.Context, err error) bool {
	timeout := net.Error(nil)

	return ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// pause waits a moment, and returns false when the context ends.
func (t *take) pause(ctx context.Context) bool {
	select {
	case <-time.After(tick):
		return true
	case <-ctx.Done():
		return false
	}
}
