package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"praefect/coordinator"
)

// AdoptTurns implements [coordinator.Recoverer].
func (s *Store) AdoptTurns(
	ctx context.Context, adopter coordinator.Incarnation, limit int,
) ([]coordinator.Adoption, error) {
	if err := alive(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.lives(adopter) {
		return nil, coordinator.ErrLeaseLost
	}
	var own, orphans []*repository
	for _, found := range s.repositories {
		switch {
		case found.turn == nil:
		case found.turn.adopter == adopter:
			own = append(own, found)
		case s.orphaned(found.turn):
			orphans = append(orphans, found)
		}
	}
	for _, list := range [][]*repository{own, orphans} {
		slices.SortFunc(list, func(a, b *repository) int {
			return cmp.Compare(a.turn.place, b.turn.place)
		})
	}
	adopted := slices.Concat(own, orphans)
	var adoptions []coordinator.Adoption
	for _, found := range adopted[:min(limit, len(adopted))] {
		adoptions = append(adoptions, found.adopt(adopter))
	}
	return adoptions, nil
}

// orphaned says that nobody who lives will bring the turn to its end.
func (s *Store) orphaned(held *turn) bool {
	if held.adopter != 0 {
		return !s.lives(held.adopter)
	}
	return held.marked || !s.lives(held.Incarnation)
}

func (r *repository) adopt(adopter coordinator.Incarnation) coordinator.Adoption {
	if r.turn.adopter != adopter {
		r.Epoch++
		r.turn.adopter = adopter
		r.turn.adoption++
	}
	adoption := coordinator.Adoption{
		Intent: r.turn.Intent, Number: r.turn.adoption,
		Ended: slices.Clone(r.turn.ended), Snapshot: r.snapshot(),
	}
	adoption.Participants = slices.Clone(r.turn.Participants)
	return adoption
}

// resolved stands for the write of a resolution where records leave theirs: a repeated record of
// the same write must not be taken for it.
func resolved(write coordinator.WriteID) coordinator.WriteID { return -write }

// Resolve implements [coordinator.Recoverer].
func (s *Store) Resolve(
	ctx context.Context, resolution coordinator.Resolution,
) (coordinator.Recorded, error) {
	if err := alive(ctx); err != nil {
		return coordinator.Recorded{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.ready(resolution.Repository)
	switch {
	case found == nil:
		return coordinator.Recorded{}, coordinator.ErrSuperseded
	case found.resolvedBy(resolution):
		return s.repeated(found, resolution.Owner), nil
	case found.Epoch != resolution.Epoch || found.Generation != resolution.Base ||
		!found.turn.belongs(resolution) || !found.keeps(resolution):
		return coordinator.Recorded{}, coordinator.ErrSuperseded
	}
	ended := found.turn.ended
	recorded := coordinator.Recorded{Wanted: s.end(found)}
	if len(resolution.Keep) > 0 {
		recorded.Shrunk, recorded.RepairDue = found.resolve(resolution)
		s.invalidate(found)
	}
	settling := resolution.Settling
	settling.Storages = slices.DeleteFunc(slices.Clone(settling.Storages),
		func(storage coordinator.Storage) bool {
			return slices.Contains(ended, storage) && !found.current(storage)
		})
	found.settle(settling)
	recorded.Generation, recorded.Epoch = found.Generation, found.Epoch
	recorded.Await = s.await(found, resolution.Owner)
	return recorded, nil
}

// resolvedBy says that this very resolution was done before.
func (r *repository) resolvedBy(resolution coordinator.Resolution) bool {
	if len(resolution.Keep) == 0 {
		return r.Epoch == resolution.Epoch && r.Generation == resolution.Base &&
			(r.turn == nil || r.turn.Write != resolution.Write)
	}
	return r.lastWrite == resolved(resolution.Write) &&
		r.Generation == resolution.Base+1 && r.Epoch == resolution.Epoch+1
}

// repeated is the answer to a repeated statement. What the first one left behind is not known any
// more; the cautious answer costs little.
func (s *Store) repeated(
	found *repository, own coordinator.Incarnation,
) coordinator.Recorded {
	return coordinator.Recorded{
		Generation: found.Generation, Epoch: found.Epoch, Shrunk: true, RepairDue: true,
		Await: s.await(found, own), Wanted: true,
	}
}

// belongs says that the turn is in the hands of whoever resolves.
func (t *turn) belongs(resolution coordinator.Resolution) bool {
	if resolution.Number == 0 {
		return t.owned(resolution.Write) && t.Incarnation == resolution.Owner
	}
	return t != nil && t.Write == resolution.Write && t.adopter == resolution.Owner &&
		t.adoption == resolution.Number
}

// keeps says whether the primary that a resolution leaves behind is kept by it.
func (r *repository) keeps(resolution coordinator.Resolution) bool {
	return len(resolution.Keep) == 0 ||
		r.current(resolution.Primary) && slices.Contains(resolution.Keep, resolution.Primary)
}

// resolve says whether a replica is not current any more, and whether one is due for repair that
// was not before.
func (r *repository) resolve(resolution coordinator.Resolution) (shrunk, due bool) {
	r.Generation++
	r.Epoch++
	r.Primary = resolution.Primary
	r.lastWrite = resolved(resolution.Write)
	for storage, replica := range r.replicas {
		if replica.generation == resolution.Base && slices.Contains(resolution.Keep, storage) {
			replica.generation = r.Generation
			replica.forget()
			continue
		}
		shrunk = shrunk || replica.generation == resolution.Base
		due = r.due(replica, 0) || due
	}
	return shrunk, due
}

// Settle implements [coordinator.Recoverer].
func (s *Store) Settle(
	ctx context.Context, id coordinator.RepositoryID, settling coordinator.Settling,
) error {
	if err := alive(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.repositories[id]
	if !ok && len(settling.Storages) > 0 {
		return coordinator.ErrRepositoryNotFound
	}
	if ok {
		found.settle(settling)
	}
	return nil
}

// Restore implements [coordinator.Recoverer].
func (s *Store) Restore(ctx context.Context, lost coordinator.Kept) (bool, error) {
	if err := alive(ctx); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.ready(lost.Repository)
	if found == nil || found.Generation >= lost.Generation {
		return false, nil
	}
	holders := found.unclaimed(lost.Holders)
	if len(holders) == 0 {
		return false, nil
	}
	found.restore(lost, holders)
	s.invalidate(found)
	return true, nil
}

// unclaimed are those of the storages whose replicas nobody repairs, sorted.
func (r *repository) unclaimed(storages []coordinator.Storage) []coordinator.Storage {
	var found []coordinator.Storage
	for _, storage := range slices.Sorted(slices.Values(storages)) {
		if replica, ok := r.replicas[storage]; ok && replica.claim == 0 {
			found = append(found, storage)
		}
	}
	return found
}

func (r *repository) restore(lost coordinator.Kept, holders []coordinator.Storage) {
	r.Generation = lost.Generation
	r.Epoch = max(r.Epoch, lost.Epoch) + 1
	r.lastWrite = lost.Write
	r.Primary = holders[0]
	if slices.Contains(holders, lost.Primary) {
		r.Primary = lost.Primary
	}
	for storage, replica := range r.replicas {
		if slices.Contains(holders, storage) {
			replica.generation = r.Generation
			replica.forget()
			continue
		}
		r.due(replica, 0)
	}
}

// settle notes until when nodes may still act on replicas, and has them compared then.
func (r *repository) settle(settling coordinator.Settling) {
	if len(settling.Storages) == 0 {
		return
	}
	until := time.Now().Add(settling.For)
	for _, storage := range settling.Storages {
		if replica, ok := r.replicas[storage]; ok && replica.settlesAt.Before(until) {
			replica.settlesAt = until
		}
	}
	r.verification.ask(settling.For)
	r.verification.doubtful = true
}
