package verify

import (
	"context"
	"sync"

	"go.uber.org/zap"

	"praefect/coordinator"
)

// compare takes the checksums of all current replicas beside the writers. What it finds is only
// ever a reason to compare exactly.
func (w *Worker) compare(ctx context.Context, audit coordinator.Audit) {
	before, ok := w.atRest(ctx, audit.Repository)
	if !ok {
		return
	}
	sums := w.checksums(ctx, before)
	after, ok := w.atRest(ctx, audit.Repository)
	if !ok || after.Generation != before.Generation || after.Epoch != before.Epoch {
		return
	}
	count, err := w.Store.CountSweep(ctx, audit.Repository)
	if err != nil {
		return
	}
	differ := len(groups(sums)) > 1
	if differ {
		w.metrics.differences.WithLabelValues(string(audit.Key.VirtualStorage)).Inc()
		w.log.Error("checksums of current replicas differ", zap.Inline(before),
			zap.Any("checksums", sums))
	}
	if differ || count%w.config.Exact == 0 {
		w.ask(ctx, before)
	}
}

// atRest says whether the checksums of a repository can be compared: nobody writes to it, and no
// call is announced that changes replicas without the turn. They may differ until such a call ends,
// and then they are compared exactly.
func (w *Worker) atRest(
	ctx context.Context, id coordinator.RepositoryID,
) (coordinator.Repository, bool) {
	found, err := w.Store.Load(ctx, id)
	if err != nil || found.TurnHeld || found.State != coordinator.StateReady {
		return found, false
	}
	announced, err := w.Store.Announced(ctx, id)
	return found, err == nil && !announced
}

// ask has the replicas compared exactly.
func (w *Worker) ask(ctx context.Context, repository coordinator.Repository) {
	if err := w.Store.ScheduleVerification(ctx, repository.ID, 0); err != nil &&
		ctx.Err() == nil {
		w.log.Warn("exact comparison is not asked for", zap.Inline(repository), zap.Error(err))
	}
}

// checksums asks the nodes of current replicas at the same time. Those that do not answer are left
// out.
func (w *Worker) checksums(
	ctx context.Context, repository coordinator.Repository,
) map[coordinator.Storage]string {
	ctx, cancel := context.WithTimeout(ctx, w.config.Call)
	defer cancel()
	var (
		mu    sync.Mutex // guards found
		found = map[coordinator.Storage]string{}
		asked sync.WaitGroup
	)
	for _, replica := range repository.Replicas {
		if !repository.Current(replica.Storage) ||
			!w.Health.Healthy(repository.Key.VirtualStorage, replica.Storage) {
			continue
		}
		asked.Go(func() {
			sum, err := w.Prober.Checksum(ctx, Replica{
				repository.Key.VirtualStorage, replica.Storage, repository.ReplicaPath,
			})
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			found[replica.Storage] = sum
		})
	}
	asked.Wait()
	return found
}

func groups(sums map[coordinator.Storage]string) map[string]bool {
	distinct := map[string]bool{}
	for _, sum := range sums {
		distinct[sum] = true
	}
	return distinct
}
