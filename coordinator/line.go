package coordinator

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// lines keeps, for each repository that is being written to through this process, the line of
// those that want to commit: one holds the turn, the others wait, first come first served.
type lines struct {
	queueMax int
	// windows counts the open commit windows of all lines, so that reads need no lock when there
	// is none.
	windows atomic.Int64
	mu      sync.Mutex // guards the fields below and all lines
	byID    map[RepositoryID]*line
}

// line is one repository's. It exists as long as somebody uses it.
type line struct {
	id      RepositoryID
	users   int
	holder  *ticket
	waiting []*ticket
	// write is that of the turn that the holder has, or is about to have.
	write WriteID
	// wanted says that another process waits for the turn.
	wanted bool
	// freed is closed, and forgotten, when another process may have given the turn back; it is
	// there only if somebody waits.
	freed chan struct{}
	// yieldUntil is until when the turn is left to other processes.
	yieldUntil time.Time
	// windows counts writes whose PREPARED round is won and whose outcome is not recorded.
	windows int
	// sent tells for each write under way to which storages it was sent.
	sent map[*Write]set
	// ended is closed, and forgotten, when sent changes; it is there only if somebody waits.
	ended chan struct{}
	// hold, while it is there, keeps new writes from being sent; it is closed at the end.
	hold chan struct{}
}

// ticket is a place in the line; granted is closed when it has become the holder.
type ticket struct {
	granted chan struct{}
}

func newLines(queueMax int) *lines {
	return &lines{queueMax: queueMax, byID: map[RepositoryID]*line{}}
}

// use returns the line of a repository and keeps it until drop.
func (l *lines) use(id RepositoryID) *line {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.byID[id]
	if found == nil {
		found = &line{id: id, sent: map[*Write]set{}}
		l.byID[id] = found
	}
	found.users++
	return found
}

func (l *lines) drop(used *line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	used.users--
	if used.users == 0 {
		delete(l.byID, used.id)
	}
}

// take waits for the turn until the context ends. A line that is full, or a deadline that passes,
// is [ErrBusy].
func (l *lines) take(ctx context.Context, in *line) (*ticket, error) {
	mine := &ticket{granted: make(chan struct{})}
	if err := l.enqueue(in, mine); err != nil {
		return nil, err
	}
	select {
	case <-mine.granted:
		return mine, nil
	case <-ctx.Done():
	}
	l.release(in, mine)
	return nil, fmt.Errorf("wait for the turn: %w", overdue(ctx))
}

func (l *lines) enqueue(in *line, mine *ticket) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if in.holder == nil {
		in.holder = mine
		close(mine.granted)
		return nil
	}
	if len(in.waiting) >= l.queueMax {
		return fmt.Errorf("%d writes are waiting: %w", len(in.waiting), ErrBusy)
	}
	in.waiting = append(in.waiting, mine)
	return nil
}

// release gives the turn, or the place in the line, back.
func (l *lines) release(in *line, mine *ticket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if in.holder != mine {
		in.waiting = slices.DeleteFunc(in.waiting, func(t *ticket) bool { return t == mine })
		return
	}
	in.holder, in.wanted, in.write = nil, false, 0
	if len(in.waiting) > 0 {
		in.holder = in.waiting[0]
		in.waiting = slices.Delete(in.waiting, 0, 1)
		close(in.holder.granted)
	}
}

// yield leaves the next turn to other processes for a while.
func (l *lines) yield(in *line, pause time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in.yieldUntil = time.Now().Add(pause)
}

// yielding says how much of that is left.
func (l *lines) yielding(in *line) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Until(in.yieldUntil)
}

func (l *lines) contended(in *line) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return in.wanted || len(in.waiting) > 0
}

// name notes by which write the turn of the holder is known in the store.
func (l *lines) name(in *line, write WriteID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in.write = write
}

// holds says whether somebody of this process has the turn of that write.
func (l *lines) holds(id RepositoryID, write WriteID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	in := l.byID[id]
	return in != nil && in.write == write
}

// want notes that another process waits for a turn that is held here.
func (l *lines) want(id RepositoryID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if in := l.byID[id]; in != nil && in.holder != nil {
		in.wanted = true
	}
}

// awaitFree returns a channel that is closed by the next call of free.
func (l *lines) awaitFree(in *line) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if in.freed == nil {
		in.freed = make(chan struct{})
	}
	return in.freed
}

// free wakes the one who waits for another process to give the turn back.
func (l *lines) free(id RepositoryID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if in := l.byID[id]; in != nil && in.freed != nil {
		close(in.freed)
		in.freed = nil
	}
}

// openWindow and closeWindow enclose the time in which nodes commit at different moments.
func (l *lines) openWindow(in *line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in.windows++
	l.windows.Add(1)
}

func (l *lines) closeWindow(in *line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in.windows--
	l.windows.Add(-1)
}

func (l *lines) committing(id RepositoryID) bool {
	if l.windows.Load() == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	in := l.byID[id]
	return in != nil && in.windows > 0
}

// send notes to which storages a write goes. It must be called before the route is read the last
// time; see [lines.awaitWithout].
func (l *lines) send(in *line, write *Write, to set) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in.sent[write] = to
	in.changed()
}

// end forgets a write.
func (l *lines) end(in *line, write *Write) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(in.sent, write)
	in.changed()
}

// changed wakes those that wait for writes to end or to be sent further.
func (in *line) changed() {
	if in.ended != nil {
		close(in.ended)
		in.ended = nil
	}
}

// idle waits until no write is under way, as long as the context lasts.
func (l *lines) idle(ctx context.Context, in *line) {
	for {
		ended := l.busy(in)
		if ended == nil {
			return
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return
		}
	}
}

func (l *lines) busy(in *line) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(in.sent) == 0 {
		return nil
	}
	return in.await()
}

// await returns what changed closes.
func (in *line) await() <-chan struct{} {
	if in.ended == nil {
		in.ended = make(chan struct{})
	}
	return in.ended
}

// stop holds new writes back until start. It returns false if somebody holds them back already.
func (l *lines) stop(in *line) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if in.hold != nil {
		return false
	}
	in.hold = make(chan struct{})
	return true
}

func (l *lines) start(in *line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(in.hold)
	in.hold = nil
}

// admit lets a new write pass unless a repair is holding writes back; it waits for that to end,
// but not for long.
func (l *lines) admit(ctx context.Context, in *line) {
	l.mu.Lock()
	hold := in.hold
	l.mu.Unlock()
	if hold == nil {
		return
	}
	bounded := time.NewTimer(holdMax)
	defer bounded.Stop()
	select {
	case <-hold:
	case <-bounded.C:
	case <-ctx.Done():
	}
}

// awaitWithout waits until every write under way is sent to the storages as well. Since a write
// registers before it reads the route, none that misses them can begin once the route that holds
// them was published.
func (l *lines) awaitWithout(ctx context.Context, in *line, storages set) error {
	for {
		ended := l.missing(in, storages)
		if ended == nil {
			return nil
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return fmt.Errorf("wait for earlier writes: %w", context.Cause(ctx))
		}
	}
}

// missing returns a channel that is closed when sent changes, or nil if there is no need to wait.
func (l *lines) missing(in *line, storages set) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, sent := range in.sent {
		if !sent.contains(storages) {
			return in.await()
		}
	}
	return nil
}
