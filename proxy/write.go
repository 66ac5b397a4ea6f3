package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/metadata"

	"praefect/coordinator"
	"praefect/proxy/method"
	"praefect/proxy/relay"
	"praefect/transaction"
	"praefect/transaction/failpoint"
	"praefect/transaction/registry"
)

// copiesLooks is how often in a grace it is looked whether enough nodes have ended a call.
const copiesLooks = 10

// write carries a call to all replicas that take part and says what became of it.
func (h *Handler) write(ctx context.Context, c *call) (coordinator.Outcome, error) {
	carried := c.relayCall()
	if c.method.Turn == method.TurnBeforeDispatch && c.method.ClientStream {
		// The turn must not be held while a client makes up its mind.
		rest, done, err := h.intake.Receive(c.stream)
		if err != nil {
			return coordinator.OutcomeNone, err
		}
		defer done()
		carried.Rest, carried.Complete = rest, true
	}
	begun := c.visit.trace.Now()
	started, err := h.begin(ctx, c)
	c.visit.trace.Step("route", begun, err)
	if err != nil {
		carried.Free()
		return coordinator.OutcomeNone, routing(err)
	}
	c.visit.add(zap.Int64("repository_id", int64(started.Plan().Repository)),
		zap.String("primary", string(started.Plan().Primary)))
	failpoint.Hit(failpoint.Routed)
	run := &run{handler: h, call: c, write: started}
	defer run.abandon(ctx)
	if err := run.open(ctx, carried); err != nil {
		run.left = true
		outcome, _ := run.finish(ctx, coordinator.Result{Idle: true})
		return outcome, err
	}
	failpoint.Hit(failpoint.FannedOut)
	return run.carry(ctx)
}

// run is one write under way.
type run struct {
	handler *Handler
	call    *call
	write   *coordinator.Write
	live    *registry.Live
	fan     *relay.Fan
	// finished says that the end of the write was begun, left that nothing is left to do.
	finished, left bool
}

// open starts the vote and then the call on all participants. It takes over the messages of the
// call. After an error nothing was started.
func (r *run) open(ctx context.Context, carried relay.Call) error {
	plan := r.write.Plan()
	live, err := r.handler.Registry.Begin(ctx, registry.Options{
		VirtualStorage: string(plan.Key.VirtualStorage),
		Voting: transaction.Config{
			Primary:       transaction.Voter(plan.Primary),
			Secondaries:   voters(plan.Secondaries),
			MinimumCopies: plan.MinimumCopies,
			Gate:          r.call.effective(plan).gate(),
		},
		Writer:   r.write,
		Observer: r.call.visit.trace.Observer(),
	})
	if err != nil {
		carried.Free()
		return err
	}
	r.live = live
	r.call.visit.add(zap.Uint64("transaction_id", live.ID()))
	to, err := r.destinations(plan)
	if err != nil {
		carried.Free()
	} else {
		r.fan, err = r.handler.Relay.Open(r.call.stream, carried, to, live, r.call.visit.log())
	}
	if err != nil {
		r.forget(ctx)
	}
	return err
}

// destinations addresses the call to all participants, the primary first.
func (r *run) destinations(plan coordinator.Plan) ([]relay.Destination, error) {
	outgoing := r.handler.outgoing(r.call)
	if r.call.additional == nil && plan.AdditionalReplicaPath != "" {
		outgoing[hintKey] = []string{plan.AdditionalReplicaPath}
	}
	storages := append([]coordinator.Storage{plan.Primary}, plan.Secondaries...)
	all := make([]relay.Destination, 0, len(storages))
	for _, storage := range storages {
		to, err := r.handler.destination(r.call, place{
			storage:        storage,
			replicaPath:    plan.ReplicaPath,
			additionalPath: plan.AdditionalReplicaPath,
		}, r.metadata(outgoing, storage))
		if err != nil {
			relay.FreeAll(all)
			return nil, err
		}
		all = append(all, to)
	}
	return all, nil
}

func (r *run) metadata(outgoing metadata.MD, storage coordinator.Storage) metadata.MD {
	if !r.call.method.Transactional {
		return outgoing
	}
	return voting(outgoing, r.live, transaction.Voter(storage))
}

// carry brings the write to its end and answers the client. Nodes that are slow to end it go on
// afterwards.
func (r *run) carry(ctx context.Context) (coordinator.Outcome, error) {
	answer := r.fan.Carry()
	votes := r.settle(answer)
	result := r.result(answer, votes)
	begun := r.call.visit.trace.Now()
	outcome, finished := r.finish(ctx, result)
	r.call.visit.trace.Step("finish", begun, finished)
	r.call.visit.add(zap.Stringer("outcome", outcome))
	err := verdict(answer, outcome, firstError(finished, r.live.Err()))
	failpoint.Hit(failpoint.BeforeAnswer)
	if err == nil {
		err = r.fan.Deliver()
	} else if withheld := r.fan.Withhold(); withheld != nil {
		r.call.visit.log().Info("header of a failed write is lost", zap.Error(withheld))
	}
	r.leave(ctx, len(result.Running) > 0)
	return outcome, err
}

// finish ends the write.
func (r *run) finish(
	ctx context.Context, result coordinator.Result,
) (coordinator.Outcome, error) {
	r.finished = true
	return r.write.Finish(ctx, result)
}

// abandon ends the write when its handler panics, as other calls of the process go on. If nodes
// were asked, recovery finds out what they did, as if this process had died.
func (r *run) abandon(ctx context.Context) {
	if r.left {
		return
	}
	result := coordinator.Result{Idle: true}
	if r.fan != nil {
		r.fan.Abandon()
		result = r.result(relay.Answer{}, transaction.Summary{Unfinished: true})
	}
	if !r.finished {
		_, _ = r.finish(ctx, result) // The client is told of the panic.
	}
	switch {
	case r.fan != nil:
		r.leave(ctx, true)
	case r.live != nil:
		r.forget(ctx)
	}
}

// settle waits until the votes do not change any more what the client is told.
func (r *run) settle(answer relay.Answer) transaction.Summary {
	if !errors.Is(answer.Cause, relay.ErrVotesBroken) {
		bound := time.NewTimer(r.handler.config.Settle)
		defer bound.Stop()
		select {
		case <-r.live.Settled():
		case <-r.live.Broken():
		case <-bound.C:
			r.call.visit.log().Error("votes did not settle", zap.Inline(r.call.key))
		}
	}
	votes := r.live.Summary()
	silent := votes.Silent && r.call.commands.mayDelete()
	if votes.Recorded > 0 && !silent || votes.Failed || r.call.commands.none() {
		return votes
	}
	// If nobody voted on something, the end of the calls is the only evidence. If the vote is lost,
	// the turn is kept while nodes remove their locks, which the next write would run into.
	r.awaitCopies(answer, votes.Prepared, silent)
	r.fan.Settle(r.grace())
	return r.live.Summary()
}

// asideGrace is how much longer nodes are waited for in a call that goes on beside other writes.
const asideGrace = 10

// grace is how long nodes are waited for when enough have ended the call. Each node fetches from
// the other server by itself, and one that takes a second more would have to be repaired each time.
func (r *run) grace() time.Duration {
	if r.call.effective(r.write.Plan()).Verify {
		return asideGrace * r.handler.config.Grace
	}
	return r.handler.config.Grace
}

// awaitCopies waits, when the primary has succeeded with something on which nobody voted, until as
// many nodes have done so as the write needs. A fetch that finds nothing new is such a write, and
// takes each node its own time, as each asks the other server by itself.
func (r *run) awaitCopies(answer relay.Answer, voted, silent bool) {
	succeeded := answer.Ended && answer.Err == nil
	if !succeeded || voted && !silent || r.call.effective(r.write.Plan()).NeverWrites {
		return
	}
	step := max(r.handler.config.Grace/copiesLooks, time.Millisecond)
	for left := r.handler.config.Copies; left > 0 && r.lacking(); left -= step {
		r.fan.Settle(step)
	}
}

// lacking says that too few nodes have ended the call well, and others may still.
func (r *run) lacking() bool {
	copies, running := 0, false
	for _, end := range r.fan.Ends() {
		switch {
		case !end.Over:
			running = true
		case end.Seen && end.Err == nil:
			copies++
		}
	}
	return running && copies < r.write.Plan().MinimumCopies
}

// result tells how the call went on the nodes.
func (r *run) result(answer relay.Answer, votes transaction.Summary) coordinator.Result {
	result := coordinator.Result{
		Votes: votes, Refused: r.live.Refused(), PrimaryOK: answer.Ended && answer.Err == nil,
		Idle: r.call.commands.none(), Cause: answer.Cause, Transaction: r.live.ID(),
		Deletes: r.call.commands.mayDelete(), Failures: map[transaction.Voter]error{},
	}
	for _, end := range r.fan.Ends() {
		if err := failureOf(end); err != nil {
			result.Failures[end.Node] = err
		}
		switch {
		case !end.Over:
			result.Running = append(result.Running, end.Node)
		case !end.Seen, end.Err == nil && end.Cut:
			// Nobody knows what it has done with half of a request.
			result.Lost = append(result.Lost, end.Node)
		case end.Err == nil:
			result.OK = append(result.OK, end.Node)
		}
	}
	return result
}

// failureOf says for the journal why a node did not carry a call through.
func failureOf(end relay.End) error {
	switch {
	case end.Ejected != "":
		return errors.New(end.Ejected)
	case end.Over:
		return end.Err
	default:
		return nil
	}
}

// leave lets the nodes that have not ended the call go on, and closes the vote after the last. The
// write is told of their end if it was told that they run, also when they have ended since.
func (r *run) leave(ctx context.Context, running bool) {
	r.left = true
	r.fan.Leave(func() {
		r.forget(ctx)
		if !running {
			return
		}
		var lost []transaction.Voter
		for _, end := range r.fan.Ends() {
			if !end.Seen {
				lost = append(lost, end.Node)
			}
		}
		ctx, cancel := r.handler.bounded(ctx)
		defer cancel()
		r.write.Drained(ctx, lost)
	})
}

// forget ends the vote.
func (r *run) forget(ctx context.Context) {
	ctx, cancel := r.handler.bounded(ctx)
	defer cancel()
	if _, err := r.live.Finish(ctx); err != nil {
		r.call.visit.log().Error("vote did not end", zap.Inline(r.call.key), zap.Error(err))
	}
}

// bounded returns a context for what has to be done although the client may be gone.
func (h *Handler) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), h.config.Settle)
}

// verdict is what the client is told. finished is why the write must not be acknowledged.
func verdict(answer relay.Answer, outcome coordinator.Outcome, finished error) error {
	cause := answer.Cause
	switch {
	case finished != nil:
		return finished
	case errors.Is(cause, relay.ErrPrimaryOverdue), errors.Is(cause, relay.ErrVotesBroken):
		return lost(cause, outcome)
	case cause != nil:
		return cause
	case answer.Err != nil && !answer.Ended:
		return lost(answer.Err, outcome)
	default:
		return answer.Err
	}
}

// lost keeps a failure that invites to try again from clients, unless nothing was changed.
func lost(err error, outcome coordinator.Outcome) error {
	if outcome == coordinator.OutcomeNone {
		return err
	}
	return fmt.Errorf("%w, its outcome is %q: %s", ErrPrimaryLost, outcome, err.Error())
}
