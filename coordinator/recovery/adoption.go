package recovery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"praefect/coordinator"
	"praefect/transaction/failpoint"
)

// recovery is one adopted turn being brought to its end.
type recovery struct {
	*Worker
	adoption coordinator.Adoption
	// owner is the incarnation that adopted it.
	owner coordinator.Incarnation
	begun time.Time
	log   *zap.Logger
	// interrupted says that nodes may have been cut off in the middle of the write.
	interrupted bool

	mu sync.Mutex // guards the field below
	// ended are participants that do nothing any more for the write.
	ended []coordinator.Storage
}

func newRecovery(
	w *Worker, adoption coordinator.Adoption, owner coordinator.Incarnation,
) *recovery {
	return &recovery{
		Worker: w, adoption: adoption, owner: owner, begun: time.Now(), ended: adoption.Ended,
		log: w.log.With(zap.Inline(adoption.Snapshot.Key),
			zap.Int64("repository_id", int64(adoption.Repository)),
			zap.Int64("write_id", int64(adoption.Write)),
			zap.String("kind", string(adoption.Kind)),
			zap.Int64("incarnation", int64(adoption.Incarnation)),
			zap.Int64("adoption", adoption.Number)),
	}
}

// learn takes over who has ended since the adoption.
func (r *recovery) learn(ended []coordinator.Storage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = ended
}

// acting lists those of the participants that may still act on the write.
func (r *recovery) acting() []coordinator.Storage {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.adoption.Participants),
		func(storage coordinator.Storage) bool {
			_, known := r.adoption.Snapshot.Replica(storage)
			return !known || slices.Contains(r.ended, storage)
		})
}

// inDoubt lists the participants of which something is at stake: the others hold an older state,
// whatever they did.
func (r *recovery) inDoubt() []coordinator.Storage {
	return slices.DeleteFunc(slices.Clone(r.adoption.Participants),
		func(storage coordinator.Storage) bool { return !r.adoption.Snapshot.Current(storage) })
}

// run tries to resolve the turn until that is done, or somebody else's.
func (r *recovery) run(ctx context.Context) {
	failpoint.Hit(failpoint.Adopted)
	var result, said string
	for pause := r.config.BackoffMin; ; pause = min(2*pause, r.config.BackoffMax) {
		var err error
		if result, err = r.attempt(ctx); err == nil {
			break
		}
		if ctx.Err() != nil || errors.Is(err, errLeaseLost) {
			r.log.Info("recovery is left to others", zap.Error(err))
			break
		}
		if result == resultSuperseded {
			r.log.Warn("recovery was superseded", zap.Error(err))
			// Whatever it was that moved on, it is not asked for at once again.
			sleep(ctx, r.config.BackoffMax)
			break
		}
		// Once for each reason: it may go on for as long as a node is away.
		if said != err.Error() {
			said = err.Error()
			r.log.Warn("write cannot be decided yet, the repository cannot be written",
				zap.Error(err))
		}
		if !sleep(ctx, pause) {
			break
		}
	}
	virtualStorage := string(r.adoption.Snapshot.Key.VirtualStorage)
	r.metrics.recoveries.WithLabelValues(virtualStorage, result).Inc()
	r.metrics.duration.Observe(time.Since(r.begun).Seconds())
	if r.interrupted {
		bounded, cancel := context.WithTimeout(ctx, r.config.NodeDeadline)
		defer cancel()
		r.unlock(bounded, r.adoption.Snapshot, r.log)
	}
}

// attempt asks, decides and resolves. With an error nothing is resolved, as far as is known.
func (r *recovery) attempt(ctx context.Context) (string, error) {
	doubt := r.inDoubt()
	if len(doubt) == 0 {
		if _, err := r.resolve(ctx, verdict{}, nil); err != nil {
			return outcome(err), err
		}
		r.log.Info("turn without a write in doubt is given back")
		return resultReleased, nil
	}

	asked := r.inquire(r.adoption.Snapshot, r.adoption.Kind)
	asked.room = r.asking
	answers, acting := r.answers(ctx, asked, doubt)
	q := asked.question(answers, doubt)
	q.lastResort = time.Since(r.begun) >= r.config.Patience
	decided, ok := decide(q)
	if !ok {
		_, unasked := groups(answers)
		return resultStopped, fmt.Errorf("%w: %q", errNoAnswer, unasked)
	}
	if failpoint.Sabotaged(failpoint.RecoveryKeepsEverybody) {
		decided, acting = q.everybody("sabotage"), nil
	}
	failpoint.Hit(failpoint.Compared)
	recorded, err := r.resolve(ctx, decided, acting)
	if err != nil {
		return outcome(err), err
	}
	failpoint.Hit(failpoint.Resolved)
	r.interrupted = len(acting) > 0
	return r.report(evidence{asked.repository, answers, acting}, decided, recorded), nil
}

// answers asks all current replicas, and those whose nodes may still act until they are at rest. It
// also returns the participants that may act after their answer: one whose end became known in
// between is asked once more, so that its answer is its last word.
func (r *recovery) answers(
	ctx context.Context, asked inquiry, doubt []coordinator.Storage,
) (map[coordinator.Storage]answer, []coordinator.Storage) {
	before := r.acting()
	answers := asked.ask(ctx, current(r.adoption.Snapshot))
	restless := slices.DeleteFunc(slices.Clone(doubt), func(storage coordinator.Storage) bool {
		return !slices.Contains(before, storage)
	})
	if asked.comparable {
		asked.settled(ctx, answers, restless)
	}
	after := r.acting()
	ended := slices.DeleteFunc(restless, func(storage coordinator.Storage) bool {
		return slices.Contains(after, storage)
	})
	maps.Copy(answers, asked.ask(ctx, ended))
	return answers, after
}

// resolve writes the decision, again and again while the store does not answer, as long as this
// process is the one to write it.
func (r *recovery) resolve(
	ctx context.Context, decided verdict, acting []coordinator.Storage,
) (coordinator.Recorded, error) {
	resolution := coordinator.Resolution{
		Repository: r.adoption.Repository, Write: r.adoption.Write,
		Owner: r.owner, Number: r.adoption.Number,
		Epoch: r.adoption.Snapshot.Epoch, Base: r.adoption.Snapshot.Generation,
		Keep: decided.keep, Primary: decided.primary,
	}
	if len(decided.keep) > 0 {
		resolution.Settling = coordinator.Settling{
			Storages: acting, For: r.config.NodeDeadline,
		}
	}
	for {
		if incarnation, leased := r.Lease.Incarnation(); !leased || incarnation != r.owner {
			return coordinator.Recorded{}, errLeaseLost
		}
		recorded, err := r.Store.Resolve(ctx, resolution)
		switch {
		case err == nil:
			r.tell()
			return recorded, nil
		case !errors.Is(err, coordinator.ErrMetadataUnavailable) ||
			!sleep(ctx, r.config.BackoffMin):
			return coordinator.Recorded{}, fmt.Errorf("resolve: %w", err)
		}
	}
}

// tell lets this process know of the decision; the others hear of it from the store.
func (r *recovery) tell() {
	r.Routes.Invalidate(r.adoption.Snapshot.Key)
	r.Routes.Notify(coordinator.Notice{
		Kind: coordinator.NoticeTurnFree, Repository: r.adoption.Repository,
	})
}

// outcome tells an error that ends a recovery from one after which it is tried again.
func outcome(err error) string {
	if errors.Is(err, coordinator.ErrSuperseded) {
		return resultSuperseded
	}
	return resultStopped
}

// evidence is what a decision was made of.
type evidence struct {
	repository coordinator.Repository
	answers    map[coordinator.Storage]answer
	// acting are those whose nodes may still act.
	acting []coordinator.Storage
}

// fields are what an operator needs to know of a decision.
func (e evidence) fields(
	decided verdict, dropped []coordinator.Storage, recorded coordinator.Recorded,
) []zap.Field {
	same, unasked := groups(e.answers)
	return []zap.Field{
		zap.Strings("groups", same), zap.Strings("unasked", unasked),
		zap.Any("kept", decided.keep), zap.Any("dropped", dropped),
		zap.Any("settling", e.acting), zap.String("reason", decided.reason),
		zap.String("primary", string(decided.primary)),
		zap.String("primary_before", string(e.repository.Primary)),
		zap.Int64("generation", int64(recorded.Generation)),
		zap.Int64("epoch", int64(recorded.Epoch)),
	}
}

// report writes the line that tells what happened to the repository, and returns the result.
func (r *recovery) report(
	found evidence, decided verdict, recorded coordinator.Recorded,
) string {
	dropped := r.drop(found.repository, decided.keep, "recovery")
	r.note(coordinator.EventRecovery, string(r.adoption.Kind), found, decided, recorded)
	fields := append(found.fields(decided, dropped, recorded),
		zap.Duration("duration", time.Since(r.begun)))
	if len(dropped) == 0 {
		r.log.Info("write that was left behind is decided, all replicas are equal", fields...)
		return resultEqual
	}
	r.log.Warn("write that was left behind is decided, replicas are outdated", fields...)
	return resultDropped
}

// drop counts the current replicas that are not kept, and lists them.
func (w *Worker) drop(
	repository coordinator.Repository, keep []coordinator.Storage, cause string,
) []coordinator.Storage {
	dropped := slices.DeleteFunc(current(repository), func(storage coordinator.Storage) bool {
		return slices.Contains(keep, storage)
	})
	for _, storage := range dropped {
		w.metrics.dropped.WithLabelValues(
			string(repository.Key.VirtualStorage), string(storage), cause).Inc()
	}
	return dropped
}
