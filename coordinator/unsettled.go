package coordinator

import (
	"context"
	"errors"
	"slices"
	"sync"

	"go.uber.org/zap"
)

// unsettled holds the writes whose outcome the store did not take. Each keeps its turn and its
// commit window, so nothing builds on it and reads go to the primary, until the store answers.
// There is at most one a repository.
type unsettled struct {
	mu     sync.Mutex // guards the field below
	writes []*Write
}

func (u *unsettled) add(write *Write) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.writes = append(u.writes, write)
}

func (u *unsettled) list() []*Write {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.writes)
}

func (u *unsettled) remove(write *Write) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.writes = slices.DeleteFunc(u.writes, func(w *Write) bool { return w == write })
}

// settle records what could not be recorded before. It stops at the first write for which there is
// still no answer, as the store is away for the others too; that one comes last the next time.
func (c *Coordinator) settle(ctx context.Context) {
	writes := c.unsettled.list()
	c.metrics.unsettled.Set(float64(len(writes)))
	for _, write := range writes {
		settled := write.settle(ctx)
		c.unsettled.remove(write)
		if !settled {
			c.unsettled.add(write)
			return
		}
		write.resume()
	}
}

// settle returns true once the store has either taken or refused the outcome. A refused one leaves
// replicas that may differ, so that they have to be compared.
func (w *Write) settle(ctx context.Context) bool {
	w.mu.Lock()
	outcome := *w.unsettled
	w.mu.Unlock()

	store, log := w.coordinator.store, w.coordinator.log
	recorded, err := store.Record(ctx, outcome)
	refused := errors.Is(err, ErrSuperseded)
	if refused {
		err = store.ScheduleVerification(ctx, outcome.Repository, 0)
	}
	if err != nil {
		log.Warn("outcome of a write is not recorded yet", zap.Inline(w.plan.Key), zap.Error(err))
		return false
	}
	log.Info("outcome of a write settled", zap.Inline(w.plan.Key), zap.Bool("refused", refused))
	w.group.routes.invalidate(w.plan.Key.RelativePath)
	if recorded.RepairDue {
		w.coordinator.wakeRepair()
	}
	return true
}

// resume gives back what an unsettled write kept.
func (w *Write) resume() {
	w.mu.Lock()
	w.unsettled = nil
	finished := w.finished
	w.closeWindow()
	w.releaseTurn()
	w.mu.Unlock()
	if finished {
		w.leave()
	}
}
