package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"praefect/transaction/failpoint"
)

// Announcement says that a call is under way which may change a repository outside of a turn: nodes
// do not vote on part of what it does. It is durable before any node can do so, so that somebody
// compares the replicas if this process does not live to say how the call ended.
type Announcement struct {
	// Write is random and not that of an intent.
	Write       WriteID
	Repository  RepositoryID
	Incarnation Incarnation
	// Participants are those whose nodes take part.
	Participants []Storage
}

// Withdrawal says that a call has ended, announced or not, and what has to be compared after it.
type Withdrawal struct {
	Write      WriteID
	Repository RepositoryID
	// Compare asks for a comparison of the replicas. Doubtful says that nothing is recorded of what
	// they may have done differently: see [Verification].
	Compare, Doubtful bool
	// Settling are, in doubt, the replicas whose nodes may still be at it.
	Settling Settling
}

// Announcer keeps which calls are under way that may change something without a vote.
type Announcer interface {
	// Announce makes an announcement durable. It returns [ErrRepositoryNotFound] unless the
	// repository is ready, and [ErrLeaseLost] when the incarnation has ended. Repeating it
	// succeeds.
	Announce(ctx context.Context, announcement Announcement) error
	// Withdraw removes an announcement and notes what is to be compared, from now on, in one step.
	// That there is no such announcement, or no such repository, is success.
	Withdraw(ctx context.Context, withdrawal Withdrawal) error
	// AdoptAnnouncements ends announcements whose incarnation has ended: the replicas are to be
	// compared at once, in doubt, and those of the participants settle for the given time. It
	// returns of how many repositories.
	AdoptAnnouncements(ctx context.Context, limit int, settle time.Duration) (int, error)
	// Announced says whether an announcement of a call on the repository is neither withdrawn nor
	// adopted yet.
	Announced(ctx context.Context, id RepositoryID) (bool, error)
}

// announceDeletions announces, in front of its first turn, a write whose deletions may be neither
// in the intent nor in the record when this process dies. In front of every turn it sees to it that
// what was announced still is: with an incarnation its announcements end, and the calls go on.
func (w *Write) announceDeletions(ctx context.Context) error {
	present, _ := w.coordinator.lease.Incarnation()
	w.mu.Lock()
	announced, again := w.announced != 0, w.announcer != present
	w.mu.Unlock()
	due := again
	if !announced {
		due = w.options.DeletesBeside != nil && w.options.DeletesBeside()
	}
	if !due {
		return nil
	}
	return w.announce(ctx)
}

// announce makes known that the write may change something without a vote, since no intent covers
// all of it. After an error nothing may be sent, or committed.
func (w *Write) announce(ctx context.Context) error {
	incarnation, leased := w.coordinator.lease.Incarnation()
	if !leased {
		return ErrLeaseLost
	}
	w.mu.Lock()
	id, before := w.announced, w.announced != 0
	w.mu.Unlock()
	if before { // Finish withdraws it, whether it is there or not.
		return w.announceAs(ctx, id, incarnation)
	}
	id = w.coordinator.newWriteID()
	undo := leftover{
		repository: w.plan.Repository, write: id,
		withdrawal: &Withdrawal{Write: id, Repository: w.plan.Repository},
	}
	return w.coordinator.beginCall(undo, func() error {
		return w.announceAs(ctx, id, incarnation)
	})
}

func (w *Write) announceAs(ctx context.Context, id WriteID, incarnation Incarnation) error {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), openTimeout)
	defer cancel()
	err := w.coordinator.store.Announce(bounded, Announcement{
		Write: id, Repository: w.plan.Repository, Incarnation: incarnation,
		Participants: w.group.storages(w.members),
	})
	switch {
	case err == nil:
		failpoint.Hit(failpoint.Announced)
		return w.noteAnnounced(ctx, id, incarnation)
	case errors.Is(err, ErrRepositoryNotFound):
		w.group.routes.invalidate(w.plan.Key.RelativePath)
	}
	return fmt.Errorf("announce write of %s: %w", w.plan.Key, err)
}

// noteAnnounced leaves the announcement to Finish, unless that was faster than the statement.
func (w *Write) noteAnnounced(ctx context.Context, id WriteID, by Incarnation) error {
	w.mu.Lock()
	late := w.withdrawn
	if !late {
		w.announced, w.announcer = id, by
	}
	w.mu.Unlock()
	if !late {
		return nil
	}
	w.coordinator.withdraw(ctx, Withdrawal{Write: id, Repository: w.plan.Repository})
	return fmt.Errorf("announce write of %s: %w", w.plan.Key, context.Canceled)
}

// takeAnnouncement returns the announcement to withdraw, or 0. There will be none after it.
func (w *Write) takeAnnouncement() WriteID {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.withdrawn = true
	return w.announced
}

// compare ends the announcement and asks for the comparison that the decision wants, unless a
// record has done so. failed says that the record which the decision wanted is not there.
func (w *Write) compare(
	ctx context.Context, decision decision, result Result, failed bool,
) {
	withdrawal := Withdrawal{
		Write: w.takeAnnouncement(), Repository: w.plan.Repository,
		Compare: decision.verify && (decision.raise == 0 || failed),
	}
	if withdrawal.Compare && (decision.doubt || decision.raise != 0) && !w.left() {
		withdrawal.Doubtful = true
		withdrawal.Settling = Settling{
			Storages: w.group.storages(w.members &
				(w.group.voters(result.Running) | w.group.voters(result.Lost))),
			For: w.coordinator.config.NodeDeadline,
		}
	}
	if withdrawal.Write == 0 {
		if !withdrawal.Compare {
			return
		}
		withdrawal.Write = w.coordinator.newWriteID()
	}
	w.coordinator.withdraw(ctx, withdrawal)
}

// left says that recovery decides about the write.
func (w *Write) left() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed != nil
}

// withdraw tells the store of the end of a call, now or when it answers again.
func (c *Coordinator) withdraw(ctx context.Context, withdrawal Withdrawal) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	err := c.store.Withdraw(bounded, withdrawal)
	if err == nil {
		return
	}
	c.log.Warn("comparison of replicas is asked for when the database answers",
		zap.Error(err), zap.Int64("repository_id", int64(withdrawal.Repository)))
	c.leftovers.add(leftover{
		repository: withdrawal.Repository, write: withdrawal.Write, withdrawal: &withdrawal,
	})
}
