package verify

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"praefect/coordinator"
)

// warnMin is how many replicas of a storage must be missing at once to be told as one thing.
const warnMin = 5

// warn tells when a storage misses most of what was looked for: its disk may be another.
func (w *Worker) warn(claimed, missing []coordinator.Audit) {
	looked, missed := map[coordinator.Place]int{}, map[coordinator.Place]int{}
	for _, audit := range claimed {
		looked[placeOf(audit)]++
	}
	for _, audit := range missing {
		missed[placeOf(audit)]++
	}
	for place, count := range missed {
		if count >= warnMin && 2*count > looked[place] {
			w.log.Error("storage misses most of its replicas: is its disk the right one?",
				zap.String("virtual_storage", string(place.VirtualStorage)),
				zap.String("storage", string(place.Storage)),
				zap.Int("looked_for", looked[place]), zap.Int("missing", count))
		}
	}
}

func placeOf(audit coordinator.Audit) coordinator.Place {
	return coordinator.Place{
		VirtualStorage: audit.Key.VirtualStorage, Storage: audit.Storage,
	}
}

// lose takes missing replicas for what they are, so that they are repaired, or only tells of them.
func (w *Worker) lose(ctx context.Context, missing []coordinator.Audit) {
	if len(missing) == 0 {
		return
	}
	w.log.Info("removing metadata records of non-existent replicas",
		zap.Bool("perform_deletions", !w.config.Keep), zap.Any("replicas", nested(missing)))
	for _, audit := range missing {
		if w.config.Keep {
			w.end(ctx, audit, coordinator.AuditEnd{Pause: w.config.Pause})
			continue
		}
		if err := w.loseOne(ctx, audit); err != nil && ctx.Err() == nil {
			w.log.Error("metadata record of a non-existent replica is kept",
				zap.Inline(audit.Key), zap.String("storage", string(audit.Storage)),
				zap.Error(err))
			w.end(ctx, audit, coordinator.AuditEnd{Pause: w.config.Pause})
		}
	}
}

var errLastCopy = errors.New("no other replica is current: it may be the last copy")

// loseOne asks once more under the turn, since the repository may have been created, repaired or
// moved meanwhile.
func (w *Worker) loseOne(ctx context.Context, audit coordinator.Audit) error {
	waiting, cancel := context.WithTimeout(ctx, w.config.Call)
	defer cancel()
	hold, err := w.Turns.Hold(waiting, coordinator.HoldRequest{
		Key: audit.Key, Repository: audit.Repository, Kind: coordinator.KindVerification,
	})
	if errors.Is(err, coordinator.ErrRepositoryNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer hold.Release()
	exists, err := w.exists(ctx, audit)
	if err != nil {
		return err
	}
	if exists {
		w.end(ctx, audit, coordinator.AuditEnd{Found: true})
		return nil
	}
	heir, ok := w.heir(hold.Repository, audit.Storage)
	if !ok {
		return errLastCopy
	}
	_, err = w.Store.LoseReplica(ctx, coordinator.Loss{
		Repository: audit.Repository, Write: hold.Write(), Storage: audit.Storage, Primary: heir,
	})
	if err == nil {
		w.note(hold.Repository, audit)
	}
	return err
}

// note tells the journal of a replica that is gone.
func (w *Worker) note(repository coordinator.Repository, audit coordinator.Audit) {
	w.Journal.Note(coordinator.Entry{
		At: time.Now(), Event: coordinator.EventLoss, Repository: audit.Repository,
		Key: audit.Key, Notable: true,
		Details: coordinator.EntryDetails{
			Generation: repository.Generation,
			Replicas: []coordinator.EntryReplica{{
				Storage: audit.Storage, Became: coordinator.BecameOutdated,
				Reason: "the repository is not on the disk of its node",
			}},
		},
	})
}

// heir is another current replica, a healthy and assigned one before others.
func (w *Worker) heir(
	repository coordinator.Repository, lost coordinator.Storage,
) (coordinator.Storage, bool) {
	var heirs []coordinator.Replica
	for _, replica := range repository.Replicas {
		if replica.Storage != lost && repository.Current(replica.Storage) {
			heirs = append(heirs, replica)
		}
	}
	if len(heirs) == 0 {
		return "", false
	}
	best := slices.MaxFunc(heirs, func(a, b coordinator.Replica) int {
		return w.rank(repository, a) - w.rank(repository, b)
	})
	return best.Storage, true
}

func (w *Worker) rank(repository coordinator.Repository, replica coordinator.Replica) int {
	rank := 0
	if w.Health.Healthy(repository.Key.VirtualStorage, replica.Storage) {
		rank += 2
	}
	if replica.Assigned {
		rank++
	}
	return rank
}
