package relay

import (
	"sync"
	"sync/atomic"
)

// queue holds the messages that wait for one destination. Putting never blocks: whoever puts
// asks afterwards whether the queue is full and waits for room as long as it wants to. So a
// queue holds at most its limit and one message.
type queue struct {
	limit int
	total *total

	// work and room are signals for the only taker and the only putter: one is kept.
	work chan struct{}
	room chan struct{}

	mu     sync.Mutex // guards the fields below
	frames []Frame
	// bytes counts what was put and not yet sent, so also a message that is being sent.
	bytes int
	// closed tells that no message follows those that are here.
	closed bool
	// dead tells that nothing is taken any more; what is put is freed.
	dead bool
	// cut tells that the destination was kept from the rest, missed that there was any.
	cut, missed bool
}

// total counts the bytes in all queues.
type total struct {
	limit int64
	bytes atomic.Int64
}

func newQueue(limit int, all *total) *queue {
	return &queue{
		limit: limit,
		total: all,
		work:  make(chan struct{}, 1),
		room:  make(chan struct{}, 1),
	}
}

// put appends a message and takes it over.
func (q *queue) put(frame Frame) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.dead || q.closed {
		q.missed = q.missed || q.cut
		frame.Free()
		return
	}
	q.frames = append(q.frames, frame)
	q.add(frame.Len())
	signal(q.work)
}

// full tells whether more waits than may. A destination without a waiting message is never full,
// whatever others hold, so none can be kept from going on by others.
func (q *queue) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.dead || q.bytes == 0 {
		return false
	}
	return q.bytes > q.limit || q.total.bytes.Load() > q.total.limit
}

// take returns the next message, which the caller then owns, and false when none will come. It
// waits as long as it takes: close and discard end it.
func (q *queue) take() (Frame, bool) {
	for {
		frame, state := q.next()
		switch state {
		case taken:
			return frame, true
		case exhausted:
			return Frame{}, false
		case empty:
			<-q.work
		}
	}
}

// supply is what a queue has to offer.
type supply uint8

const (
	empty supply = iota
	taken
	exhausted
)

func (q *queue) next() (Frame, supply) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.frames) > 0 {
		frame := q.frames[0]
		q.frames[0] = Frame{}
		q.frames = q.frames[1:]
		return frame, taken
	}
	if q.closed || q.dead {
		return Frame{}, exhausted
	}
	return Frame{}, empty
}

// sent tells that a message of that size has left.
func (q *queue) sent(size int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(-size)
	signal(q.room)
}

// close tells that no message follows.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	signal(q.work)
}

// discard frees what waits and whatever will still be put.
func (q *queue) discard() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop()
}

// cutOff is discard for a destination that has not ended its call by itself.
func (q *queue) cutOff() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.dead {
		q.cut, q.missed = true, len(q.frames) > 0
	}
	q.drop()
}

// incomplete tells whether the destination was cut off before it had everything.
func (q *queue) incomplete() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.missed
}

// drop does what discard does. The caller holds the lock.
func (q *queue) drop() {
	q.dead = true
	for i := range q.frames {
		q.add(-q.frames[i].Len())
		q.frames[i].Free()
	}
	q.frames = nil
	signal(q.work)
	signal(q.room)
}

// add counts bytes that came or, when negative, left. The caller holds the lock.
func (q *queue) add(bytes int) {
	q.bytes += bytes
	q.total.bytes.Add(int64(bytes))
}

// signal wakes the one who waits on the channel, now or when it next waits.
func signal(channel chan struct{}) {
	select {
	case channel <- struct{}{}:
	default:
	}
}
