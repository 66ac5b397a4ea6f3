package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"praefect/coordinator"
)

// comparison is one verification being worked on.
type comparison struct {
	*Worker
	verification coordinator.Verification
	log          *zap.Logger
}

// verify compares the replicas of one repository. What could not be judged becomes due again, when
// its claim ends or earlier.
func (w *Worker) verify(ctx context.Context, verification coordinator.Verification) {
	repository := verification.Repository
	c := &comparison{
		Worker: w, verification: verification,
		log: w.log.With(zap.Inline(repository.Key),
			zap.Int64("repository_id", int64(repository.ID)),
			zap.Bool("doubtful", verification.Doubtful)),
	}
	bounded, cancel := context.WithTimeout(ctx, w.config.Claim)
	defer cancel()
	result, err := c.compare(bounded)
	switch {
	case ctx.Err() != nil:
		result = resultStopped
	case errors.Is(err, errAnnounced):
		c.log.Info("replicas are compared when a call has ended", zap.Error(err))
		c.again(bounded)
	case err != nil:
		c.log.Warn("replicas are compared later", zap.String("result", result), zap.Error(err))
		c.again(bounded)
	case result == resultEqual || result == resultDropped:
		if err := w.Store.Verified(bounded, verification); err != nil {
			c.log.Warn("verification is done again", zap.Error(err))
		}
	}
	w.metrics.verifications.WithLabelValues(string(repository.Key.VirtualStorage), result).Inc()
	if verification.Doubtful && (result == resultEqual || result == resultDropped) {
		// Only now, as this takes the place of other comparisons.
		w.unlock(bounded, repository, c.log)
	}
}

// again makes the verification due earlier than its claim ends.
func (c *comparison) again(ctx context.Context) {
	id := c.verification.Repository.ID
	err := c.Store.ScheduleVerification(ctx, id, c.config.Retry)
	if err != nil && !errors.Is(err, coordinator.ErrRepositoryNotFound) {
		c.log.Warn("verification is left until its claim ends", zap.Error(err))
	}
}

// compare looks at the replicas without keeping writers away, which is enough if they are equal,
// and under the turn if they are not, or if equality is not enough.
func (c *comparison) compare(ctx context.Context) (string, error) {
	c.lead(ctx)
	if !c.verification.Doubtful || !c.reachable() {
		result, ok, err := c.sample(ctx)
		equal := ok && result == resultEqual && c.verification.Doubtful
		if err != nil || ok && !equal {
			return result, err
		}
	}
	return c.underTurn(ctx)
}

// lead has another primary elected if that of replicas in doubt is lost, since nothing can be
// decided without its state. Otherwise replicas might differ until the next write elects one.
func (c *comparison) lead(ctx context.Context) {
	repository := c.verification.Repository
	if !c.verification.Doubtful ||
		c.Health.Healthy(repository.Key.VirtualStorage, repository.Primary) {
		return
	}
	if err := c.Turns.Lead(ctx, repository.Key); err != nil {
		c.log.Info("replicas in doubt have no primary", zap.Error(err))
	}
}

// sample compares beside the writers. It returns false if that tells nothing: because writers were
// at work, or because replicas differ, as they do for a moment in each write.
func (c *comparison) sample(ctx context.Context) (string, bool, error) {
	before, err := c.Store.Load(ctx, c.verification.Repository.ID)
	if errors.Is(err, coordinator.ErrRepositoryNotFound) {
		return resultSuperseded, true, nil
	}
	if err != nil {
		return resultBusy, false, fmt.Errorf("read repository: %w", err)
	}
	if before.TurnHeld || before.State != coordinator.StateReady {
		return "", false, nil
	}
	asked := c.inquire(before, coordinator.KindVerification)
	answers := asked.ask(ctx, current(before))
	found := judge(asked.question(answers, nil))
	after, err := c.Store.Load(ctx, before.ID)
	switch {
	case err != nil:
		return resultBusy, false, fmt.Errorf("read repository: %w", err)
	case !atRest(before, after):
		return "", false, nil
	case found.result == judgedEqual:
		return resultEqual, true, nil
	case found.result == judgedOpen:
		c.open(answers)
		return resultOpen, true, nil
	default:
		return "", false, nil
	}
}

// reachable says whether all current replicas can be asked. If not, a doubt is worth the turn only
// if the others differ.
func (c *comparison) reachable() bool {
	repository := c.verification.Repository
	for _, storage := range current(repository) {
		if !c.Health.Healthy(repository.Key.VirtualStorage, storage) {
			return false
		}
	}
	return true
}

// atRest says that nothing was written to a repository from before to after.
func atRest(before, after coordinator.Repository) bool {
	return !after.TurnHeld && after.Generation == before.Generation &&
		after.Epoch == before.Epoch && slices.Equal(current(before), current(after))
}

// open tells which replicas could not be asked.
func (c *comparison) open(answers map[coordinator.Storage]answer) {
	_, unasked := groups(answers)
	c.log.Info("some replicas could not be compared, the others are equal",
		zap.Strings("unasked", unasked))
}

// underTurn compares while no write is under way, and acts on the result.
func (c *comparison) underTurn(ctx context.Context) (string, error) {
	id := c.verification.Repository.ID
	waiting, cancel := context.WithTimeout(ctx, c.config.Hold)
	defer cancel()
	hold, err := c.Turns.Hold(waiting, coordinator.HoldRequest{
		Key: c.verification.Repository.Key, Repository: id, Kind: coordinator.KindVerification,
	})
	switch {
	case errors.Is(err, coordinator.ErrRepositoryNotFound):
		return resultSuperseded, nil
	case err != nil:
		return resultBusy, err
	}
	defer hold.Release()

	asked := c.inquire(hold.Repository, coordinator.KindVerification)
	members := current(hold.Repository)
	before := c.undisturbed(ctx)
	found := evidence{repository: hold.Repository, answers: asked.ask(ctx, members)}
	if c.verification.Doubtful {
		return c.settleDoubt(ctx, hold, asked.question(found.answers, members), found)
	}
	if same, _ := groups(found.answers); len(same) > 1 {
		if err := errors.Join(before, c.undisturbed(ctx)); err != nil {
			return resultBusy, err
		}
	}
	return c.settleDifference(ctx, hold, asked.question(found.answers, nil), found)
}

// undisturbed returns an error while a call is announced that changes replicas without the turn:
// they may differ until it ends, and then they are compared again. What is in doubt does not wait,
// since nobody knows for how long it differs already.
func (c *comparison) undisturbed(ctx context.Context) error {
	if c.verification.Doubtful {
		return nil
	}
	announced, err := c.Store.Announced(ctx, c.verification.Repository.ID)
	switch {
	case err != nil:
		return fmt.Errorf("look for announced calls: %w", err)
	case announced:
		return errAnnounced
	}
	return nil
}

// settleDoubt ends a doubt that a recovery has left: which replicas a late commit may have reached.
// As in a recovery the primary's state wins. But nobody waits for the decision, so those that do
// not answer are asked later: they were equal when the doubt arose, and a node that is away for a
// moment must not cost a copy.
func (c *comparison) settleDoubt(
	ctx context.Context, hold *coordinator.Hold, q question, found evidence,
) (string, error) {
	unasked := q.storages(func(s standing) bool { return s.digest == "" })
	decided, ok := decide(q)
	if !ok || slices.Contains(unasked, q.primary) {
		c.open(found.answers)
		return resultOpen, nil
	}
	same, _ := groups(found.answers)
	if len(same) > 1 {
		c.mismatch()
	}
	if len(unasked) == 0 {
		return c.resolve(ctx, hold, decided, found)
	}
	if len(same) == 1 {
		c.open(found.answers)
		return resultOpen, nil
	}
	decided.keep = append(decided.keep, unasked...)
	result, err := c.resolve(ctx, hold, decided, found)
	if err == nil {
		result = resultOpen // The others are still to be compared.
	}
	return result, err
}

// settleDifference puts a minority into quarantine, or tells an operator that there is none.
func (c *comparison) settleDifference(
	ctx context.Context, hold *coordinator.Hold, q question, found evidence,
) (string, error) {
	same, unasked := groups(found.answers)
	state := []zap.Field{zap.Strings("groups", same), zap.Strings("unasked", unasked)}
	judgement := judge(q)
	switch judgement.result {
	case judgedEqual:
		return resultEqual, nil
	case judgedDifferent:
		c.mismatch()
		result, err := c.resolve(ctx, hold, judgement.verdict, found)
		if err == nil && len(unasked) > 0 {
			result = resultOpen // The others are still to be compared.
		}
		return result, err
	case judgedSplit:
		c.mismatch()
		c.log.Error("replicas differ and none is known to be right: somebody has to decide",
			state...)
		return resultSplit, nil
	case judgedLost:
		c.log.Error("no replica is on the disks that could be asked", state...)
		return resultLost, nil
	case judgedOpen:
	}
	c.open(found.answers)
	return resultOpen, nil
}

func (c *comparison) mismatch() {
	c.metrics.mismatches.WithLabelValues(
		string(c.verification.Repository.Key.VirtualStorage)).Inc()
}

// resolve keeps some replicas and outdates the others, with the turn that is held. Generation and
// epoch go up in any case, so that nothing begun before can count.
func (c *comparison) resolve(
	ctx context.Context, hold *coordinator.Hold, decided verdict, found evidence,
) (string, error) {
	repository := hold.Repository
	bounded, cancel := context.WithTimeout(ctx, statementMax)
	defer cancel()
	recorded, err := c.Store.Resolve(bounded, coordinator.Resolution{
		Repository: repository.ID, Write: hold.Write(), Owner: hold.Incarnation(),
		Epoch: repository.Epoch, Base: repository.Generation,
		Keep: decided.keep, Primary: decided.primary,
	})
	if err != nil {
		return resultSuperseded, fmt.Errorf("resolve: %w", err)
	}
	c.Routes.Invalidate(repository.Key)
	dropped := c.drop(repository, decided.keep, "verification")
	c.note(coordinator.EventComparison, "", found, decided, recorded)
	fields := found.fields(decided, dropped, recorded)
	switch {
	case len(dropped) == 0:
		c.log.Info("replicas in doubt are equal", fields...)
		return resultEqual, nil
	case c.verification.Doubtful:
		c.log.Warn("replicas in doubt differed, they are outdated", fields...)
	default:
		c.log.Error("current replicas differed, the minority is outdated", fields...)
	}
	return resultDropped, nil
}
