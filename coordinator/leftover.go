package coordinator

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// leftovers are turns and creations that have ended here and whose end the store has not taken yet.
// There is at most one a repository, since the next turn begins with it.
type leftovers struct {
	store interface {
		Turns
		Remover
	}
	log *zap.Logger

	mu   sync.Mutex // guards the field below
	byID map[RepositoryID]leftover
}

// leftover is what to tell the store.
type leftover struct {
	repository RepositoryID
	write      WriteID
	// mark leaves the turn to recovery, undo a creation to removal; otherwise nothing was committed
	// under the turn.
	mark, undo bool
	ended      []Storage
	keep       time.Duration
}

func newLeftovers(store Store, log *zap.Logger) *leftovers {
	return &leftovers{store: store, log: log, byID: map[RepositoryID]leftover{}}
}

// add keeps what to do. Of one turn the later call says more; another turn is there only if the
// store has let it in, and then nothing is left of the one before.
func (l *leftovers) add(left leftover) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, ok := l.byID[left.repository]; ok && before.write == left.write {
		left.mark = left.mark || before.mark
		left.ended = append(slices.Clone(before.ended), left.ended...)
	}
	l.byID[left.repository] = left
}

// end tells the store what was left of the last turn of a repository, if anything was.
func (l *leftovers) end(ctx context.Context, id RepositoryID) error {
	l.mu.Lock()
	left, ok := l.byID[id]
	l.mu.Unlock()
	if !ok {
		return nil
	}
	if err := l.tell(ctx, left); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.byID[id]; now.write == left.write && len(now.ended) == len(left.ended) &&
		now.mark == left.mark {
		delete(l.byID, id)
	}
	return nil
}

func (l *leftovers) tell(ctx context.Context, left leftover) error {
	switch {
	case left.undo:
		_, err := l.store.Delete(ctx, Deletion{Repository: left.repository, Keep: left.keep})
		if errors.Is(err, ErrRepositoryNotFound) || errors.Is(err, ErrSuperseded) {
			return nil // It was completed, or undone, by a statement whose answer was lost.
		}
		return err
	case left.mark:
		return l.store.MarkTurn(ctx, left.repository, left.write, left.ended)
	default:
		_, err := l.store.CloseTurn(ctx, left.repository, left.write)
		return err
	}
}

// endAll tries all of them. It stops at the first for which there is no answer, as the store is
// away for the others too. It returns how many are left.
func (l *leftovers) endAll(ctx context.Context) int {
	for _, id := range l.list() {
		if err := l.end(ctx, id); err != nil {
			break
		}
		l.log.Info("turn has ended in the database as well", zap.Int64("repository_id", int64(id)))
	}
	return len(l.list())
}

func (l *leftovers) list() []RepositoryID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.byID))
}
