package coordinator

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// leftovers are turns, creations and announced calls that have ended here and whose end the store
// has not taken yet. The next turn on a repository begins with them.
type leftovers struct {
	store interface {
		Turns
		Remover
		Announcer
	}
	log *zap.Logger

	mu   sync.Mutex // guards the field below
	open map[leftoverKey]leftover
}

// leftoverKey is zero in write for a creation.
type leftoverKey struct {
	repository RepositoryID
	write      WriteID
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
	// withdrawal, if not nil, is all there is to tell: of a call, not of a turn.
	withdrawal *Withdrawal
}

func (l leftover) key() leftoverKey { return leftoverKey{l.repository, l.write} }

func newLeftovers(store Store, log *zap.Logger) *leftovers {
	return &leftovers{store: store, log: log, open: map[leftoverKey]leftover{}}
}

// add keeps what to do. Of one turn the later call says more.
func (l *leftovers) add(left leftover) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, ok := l.open[left.key()]; ok {
		left.mark = left.mark || before.mark
		left.ended = append(slices.Clone(before.ended), left.ended...)
	}
	l.open[left.key()] = left
}

// end tells the store what was left of the last turns of a repository, if anything was.
func (l *leftovers) end(ctx context.Context, id RepositoryID) error {
	for _, left := range l.list() {
		if left.repository != id {
			continue
		}
		if err := l.settle(ctx, left); err != nil {
			return err
		}
	}
	return nil
}

// settle tells the store of one of them, and forgets it unless there is more to tell by now.
func (l *leftovers) settle(ctx context.Context, left leftover) error {
	if err := l.tell(ctx, left); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.open[left.key()]
	if len(now.ended) == len(left.ended) && now.mark == left.mark {
		delete(l.open, left.key())
		l.log.Info("what was left open has ended in the database as well",
			zap.Int64("repository_id", int64(left.repository)))
	}
	return nil
}

func (l *leftovers) tell(ctx context.Context, left leftover) error {
	switch {
	case left.withdrawal != nil:
		return l.store.Withdraw(ctx, *left.withdrawal)
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
	for _, left := range l.list() {
		if err := l.settle(ctx, left); err != nil {
			break
		}
	}
	return len(l.list())
}

// has says whether something is still to be told.
func (l *leftovers) has(key leftoverKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.open[key]
	return ok
}

// list is in the same order each time.
func (l *leftovers) list() []leftover {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.SortedFunc(maps.Values(l.open), func(a, b leftover) int {
		return cmp.Or(cmp.Compare(a.repository, b.repository), cmp.Compare(a.write, b.write))
	})
}
