package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"praefect/coordinator"
)

// What is asked of nodes that were cut off in the middle of a write, and what they answer when
// their references are not locked. Whatever else begins with that kind names the locks.
const (
	kindLocks = coordinator.WriteKind("locks")
	noLocks   = "locks: none"
)

// lookRarely is how many settle times pass at most between two looks for locks.
const lookRarely = 8

// unlock brings replicas back on which a write has left its locks behind: a node whose call breaks
// off while it waits for the verdict ends Git at once, and nobody removes the locks for an hour.
// Such a replica is equal to the others, but a reference of it cannot be written. So it is outdated
// and copied afresh, one after the other, so that the others can be written to meanwhile; the
// primary when another can lead. This goes on until no current replica has such locks, or the
// context ends. It is done after a recovery, and again when the doubt ends that the recovery has
// left, should this process die.
//
// Not looked for: locks of HEAD and of configuration alone, and pools, which cannot be removed
// while others borrow from them.
func (w *Worker) unlock(
	ctx context.Context, repository coordinator.Repository, log *zap.Logger,
) {
	if strings.HasPrefix(repository.ReplicaPath, poolPrefix) {
		return
	}
	if !w.beginUnlocking(repository.ID) {
		return
	}
	defer w.endUnlocking(repository.ID)
	u := &unlocking{
		Worker: w, id: repository.ID, key: repository.Key, log: log,
		seen: map[coordinator.Storage]lock{},
	}
	for pause := w.config.Settle / 2; sleep(ctx, pause); pause = u.pause(pause) {
		done, err := u.step(ctx)
		if err != nil && ctx.Err() == nil {
			log.Info("locks are looked for again", zap.Error(err))
		}
		if done {
			return
		}
	}
}

// pause is short while there are locks. Otherwise others are waited for, a node that is away or a
// repair, and after a proxy has died that may be so for all repositories that it wrote to.
func (u *unlocking) pause(before time.Duration) time.Duration {
	if len(u.seen) > 0 {
		return u.config.Settle / 2
	}
	return min(2*before, lookRarely*u.config.Settle)
}

// beginUnlocking returns false if somebody looks for locks of the repository already.
func (w *Worker) beginUnlocking(id coordinator.RepositoryID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.unlocking[id] {
		return false
	}
	w.unlocking[id] = true
	return true
}

func (w *Worker) endUnlocking(id coordinator.RepositoryID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.unlocking, id)
}

// poolPrefix begins the replica paths of pools.
const poolPrefix = "@cluster/pools/"

// lock is what was seen of one replica.
type lock struct {
	text  string
	since time.Time
}

// unlocking is the search for locks of one repository.
type unlocking struct {
	*Worker
	id   coordinator.RepositoryID
	key  coordinator.Key
	log  *zap.Logger
	seen map[coordinator.Storage]lock
}

// step looks once, and replaces at most one replica. It returns true when there is nothing left to
// do.
func (u *unlocking) step(ctx context.Context) (bool, error) {
	repository, err := u.Store.Load(ctx, u.id)
	if errors.Is(err, coordinator.ErrRepositoryNotFound) ||
		err == nil && repository.State != coordinator.StateReady {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read repository: %w", err)
	}
	unknown := u.look(ctx, repository, current(repository))
	if len(u.seen) == 0 {
		return whole(repository) && !unknown, nil
	}
	victim := u.choose(repository)
	if !whole(repository) || victim == "" {
		return false, nil
	}
	return false, u.replace(ctx, victim)
}

// whole says that all assigned replicas are current.
func whole(repository coordinator.Repository) bool {
	return !slices.ContainsFunc(repository.Replicas, func(replica coordinator.Replica) bool {
		return replica.Assigned && replica.Generation != repository.Generation
	})
}

// look asks replicas for their locks. It returns true if some did not answer.
func (u *unlocking) look(
	ctx context.Context, repository coordinator.Repository, storages []coordinator.Storage,
) (unknown bool) {
	asked := u.inquire(repository, kindLocks)
	asked.kind = kindLocks
	answers := asked.ask(ctx, storages)
	for _, replica := range repository.Replicas {
		answer, ok := answers[replica.Storage]
		switch {
		case !ok || answer.digest == noLocks || !strings.HasPrefix(answer.digest, "locks:"):
			unknown = unknown || answer.err != nil
			delete(u.seen, replica.Storage)
		case u.seen[replica.Storage].text != answer.digest:
			u.seen[replica.Storage] = lock{text: answer.digest, since: time.Now()}
		}
	}
	return unknown
}

// choose returns a replica whose locks have been there for longer than a write holds locks without
// the turn; the primary last, and nobody if there is no other replica.
func (u *unlocking) choose(repository coordinator.Repository) coordinator.Storage {
	if len(current(repository)) < 2 {
		return ""
	}
	victim := coordinator.Storage("")
	for _, storage := range current(repository) {
		found, locked := u.seen[storage]
		if locked && time.Since(found.since) >= 2*u.config.Settle &&
			(victim == "" || storage != repository.Primary) {
			victim = storage
		}
	}
	return victim
}

// replace outdates a replica, if its locks are still there while nobody writes.
func (u *unlocking) replace(ctx context.Context, victim coordinator.Storage) error {
	waiting, cancel := context.WithTimeout(ctx, u.config.Hold)
	defer cancel()
	hold, err := u.Turns.Hold(waiting, coordinator.HoldRequest{
		Key: u.key, Repository: u.id, Kind: coordinator.KindVerification,
	})
	if err != nil {
		return err
	}
	defer hold.Release()

	repository, before := hold.Repository, u.seen[victim]
	members := current(repository)
	if !whole(repository) || len(members) < 2 || !slices.Contains(members, victim) ||
		u.look(ctx, repository, members) || u.seen[victim] != before {
		return nil // It has changed meanwhile, so the next look decides.
	}
	q := question{primary: repository.Primary}
	for _, storage := range members {
		replica, _ := repository.Replica(storage)
		_, locked := u.seen[storage]
		q.replicas = append(q.replicas, standing{
			storage: storage, assigned: replica.Assigned, digest: "asked",
			healthy: !locked && u.Health.Healthy(repository.Key.VirtualStorage, storage),
		})
	}
	decided := q.verdict(q.storages(func(s standing) bool { return s.storage != victim }),
		"locks were left behind")
	return u.outdate(ctx, hold, decided, victim)
}

// outdate records the decision. The replica's repair begins by removing it.
func (u *unlocking) outdate(
	ctx context.Context, hold *coordinator.Hold, decided verdict, victim coordinator.Storage,
) error {
	repository := hold.Repository
	bounded, cancel := context.WithTimeout(ctx, statementMax)
	defer cancel()
	_, err := u.Store.Resolve(bounded, coordinator.Resolution{
		Repository: repository.ID, Write: hold.Write(), Owner: hold.Incarnation(),
		Epoch: repository.Epoch, Base: repository.Generation,
		Keep: decided.keep, Primary: decided.primary,
		Settling: coordinator.Settling{
			Storages: []coordinator.Storage{victim}, For: u.config.NodeDeadline,
		},
	})
	if err != nil {
		return fmt.Errorf("resolve: %w", err)
	}
	u.Routes.Invalidate(repository.Key)
	u.drop(repository, decided.keep, "lock")
	u.log.Warn("replica with locks that were left behind is copied afresh",
		zap.String("storage", string(victim)), zap.String("locks", u.seen[victim].text),
		zap.String("primary", string(decided.primary)))
	delete(u.seen, victim)
	return nil
}
