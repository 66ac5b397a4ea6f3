package repair

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"praefect/coordinator"
	"praefect/transaction/failpoint"
)

// giveBackTimeout bounds the statement that gives a claim back when the worker is ending.
const giveBackTimeout = 5 * time.Second

// repair is one claim being worked on.
type repair struct {
	*Worker
	claim coordinator.RepairClaim
	// emptied says that the replica was removed; once is enough.
	emptied bool
	// failed says that a node could not do what it was asked for.
	failed bool
}

// run repairs one replica and gives its claim back, whatever happens.
func (w *Worker) run(ctx context.Context, claim coordinator.RepairClaim, claimed time.Time) {
	log := w.log.With(zap.Inline(claim.Key), zap.String("storage", string(claim.Storage)),
		zap.String("replication_job_target", string(claim.Storage)),
		zap.Int64("repository_id", int64(claim.Repository)))
	log.Info("replication job processing started", zap.Int("failures", claim.Failures))
	virtualStorage, storage := string(claim.Key.VirtualStorage), string(claim.Storage)
	w.metrics.delay.WithLabelValues(change).Observe(claim.Overdue.Seconds())
	inFlight := w.metrics.inFlight.WithLabelValues(virtualStorage, storage, change)
	inFlight.Inc()
	defer inFlight.Dec()

	start := time.Now()
	r := &repair{Worker: w, claim: claim}
	err := r.guarded(ctx, claimed)
	if err == nil {
		w.metrics.latency.WithLabelValues(change).Observe(time.Since(start).Seconds())
	}
	result := r.tell(log.With(zap.Duration("duration", time.Since(start))), err)
	w.metrics.results.WithLabelValues(virtualStorage, storage, result).Inc()
	if err != nil {
		r.giveBack(ctx, log, err)
	}
}

// tell logs how the repair ended, in the words that operators look for, and returns what it is
// counted as.
func (r *repair) tell(log *zap.Logger, err error) (result string) {
	const finished = "replication job processing finished"
	switch {
	case err == nil:
		log.Info(finished, zap.String("new_state", "completed"))
		return "repaired"
	case r.failed:
		log.Error(finished, zap.String("new_state", "failed"),
			zap.Int("failures", r.claim.Failures+1), zap.Error(err))
		return "failed"
	default:
		log.Info(finished, zap.String("new_state", "ready"), zap.Error(err))
		return "postponed"
	}
}

// guarded repairs under a guard that keeps the claim and ends the work when it cannot be kept.
func (r *repair) guarded(ctx context.Context, claimed time.Time) error {
	guard, stop := r.guard(ctx, claimed)
	defer stop()
	err := r.do(guard)
	if err != nil && guard.Err() != nil {
		// What ended the guard explains the error better than the error that followed from it.
		return fmt.Errorf("%w: %w", context.Cause(guard), err)
	}
	return err
}

// do is one repair from its first copy to its last.
func (r *repair) do(ctx context.Context) error {
	took, err := r.copy(ctx)
	if err != nil {
		return err
	}
	if err := r.Store.JoinRepair(ctx, r.claim); err != nil {
		return fmt.Errorf("let replica join: %w", err)
	}
	failpoint.Hit(failpoint.Joined)
	start := time.Now()
	if err := r.awaitJoined(ctx); err != nil {
		return err
	}
	if took+time.Since(start) > r.config.Quick {
		if took, err = r.copy(ctx); err != nil {
			return err
		}
	}
	return r.finish(ctx, r.config.last(took))
}

// copy copies from any current replica while writes go on, afresh if that has failed before. It
// returns how long that took.
func (r *repair) copy(ctx context.Context) (time.Duration, error) {
	repository, err := r.Store.Load(ctx, r.claim.Repository)
	if err != nil {
		return 0, err
	}
	source, err := r.choose(repository, r.claim.Storage)
	if err != nil {
		return 0, err
	}
	defer r.vacate(source)
	ctx, cancel := context.WithTimeoutCause(ctx, r.config.Copy, errSlow)
	defer cancel()

	start, job := time.Now(), r.job(repository, source)
	if (r.claim.Settling || r.claim.Failures >= r.config.Afresh) && !r.emptied {
		if err := r.empty(ctx, job); err != nil {
			return 0, err
		}
		job.Afresh = true
	}
	if err := r.transfer(ctx, job); err != nil {
		return 0, err
	}
	return time.Since(start), nil
}

func (r *repair) job(repository coordinator.Repository, source end) Job {
	return Job{
		VirtualStorage: repository.Key.VirtualStorage, ReplicaPath: repository.ReplicaPath,
		Source: source.storage, Target: r.claim.Storage, Afresh: r.emptied,
	}
}

// empty removes the outdated replica. Its row says first that nothing is there, and refuses if the
// replica is current.
func (r *repair) empty(ctx context.Context, job Job) error {
	if err := r.Store.EmptyReplica(ctx, r.claim); err != nil {
		return fmt.Errorf("empty replica: %w", err)
	}
	r.log.Warn("replica is removed to be copied afresh", zap.Inline(r.claim.Key),
		zap.String("storage", string(r.claim.Storage)), zap.Int("failures", r.claim.Failures),
		zap.Bool("settling", r.claim.Settling))
	r.emptied = true
	if err := r.Copier.Remove(ctx, job); err != nil {
		r.failed = ctx.Err() == nil
		return fmt.Errorf("remove replica: %w", err)
	}
	return nil
}

// transfer copies while both nodes are healthy.
func (r *repair) transfer(ctx context.Context, job Job) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := r.watch(ctx, job, cancel)
	defer stop()

	err := r.Copier.Copy(ctx, job)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("copy replica from %q: %w: %w", job.Source, context.Cause(ctx), err)
	default:
		// What a sick node fails at says nothing about the replica, and is tried again as soon as
		// the node is back.
		r.failed = r.healthy(job)
		return fmt.Errorf("copy replica from %q: %w", job.Source, err)
	}
}

// healthy says whether both nodes of a copy are.
func (r *repair) healthy(job Job) bool {
	return r.Health.Healthy(job.VirtualStorage, job.Source) &&
		r.Health.Healthy(job.VirtualStorage, job.Target)
}

func (r *repair) awaitJoined(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.config.Join)
	defer cancel()
	return r.Turns.AwaitJoined(ctx, r.claim)
}

// finish makes the last copy under the turn and raises the replica to the generation that was read
// under it. See the invariant of the package.
func (r *repair) finish(ctx context.Context, bound time.Duration) error {
	waiting, cancel := context.WithTimeout(ctx, r.config.Hold)
	defer cancel()
	hold, err := r.Turns.Hold(waiting, coordinator.HoldRequest{
		Key: r.claim.Key, Repository: r.claim.Repository, Kind: coordinator.KindHold,
		Quiet: true,
	})
	if err != nil {
		return err
	}
	defer hold.Release()

	source, err := r.choose(hold.Repository, r.claim.Storage)
	if err != nil {
		return err
	}
	defer r.vacate(source)
	bounded, cancel := context.WithTimeoutCause(ctx, bound, errSlow)
	defer cancel()
	if err := r.transfer(bounded, r.job(hold.Repository, source)); err != nil {
		return err
	}
	failpoint.Hit(failpoint.Copied)
	if err := r.Store.FinishRepair(ctx, r.claim, hold.Repository.Generation); err != nil {
		return fmt.Errorf("finish repair: %w", err)
	}
	r.note(hold.Repository, source.storage)
	return nil
}

// note tells the journal that the replica is current again.
func (r *repair) note(repository coordinator.Repository, source coordinator.Storage) {
	how := "brought up to date"
	if r.emptied {
		how = "removed and copied afresh"
	}
	r.Journal.Note(coordinator.Entry{
		At: time.Now(), Event: coordinator.EventRepair, Repository: repository.ID,
		Key: repository.Key, Notable: true,
		Details: coordinator.EntryDetails{
			Generation: repository.Generation, Primary: repository.Primary,
			Replicas: []coordinator.EntryReplica{{
				Storage: r.claim.Storage, Became: coordinator.BecameCurrent,
				Reason: how + " from " + string(source),
			}},
		},
	})
}

// giveBack postpones the repair, or leaves it when the claim is not ours any more.
func (r *repair) giveBack(ctx context.Context, log *zap.Logger, reason error) {
	postponement := coordinator.Postponement{Delay: r.config.BackoffMin}
	switch {
	case r.failed:
		postponement.Failure = reason.Error()
		postponement.Delay = r.random.Spread(r.config.pause(r.claim.Failures))
	case errors.Is(reason, errSlow):
		// It may have kept writers waiting, so not again at once.
		postponement.Delay = r.config.BackoffMax
	}
	// The claim is given back also when the worker ends.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackTimeout)
	defer cancel()
	err := r.Store.PostponeRepair(ctx, r.claim, postponement)
	if err != nil && !errors.Is(err, coordinator.ErrSuperseded) {
		log.Warn("claim of a repair is left to end", zap.Error(err))
	}
}
