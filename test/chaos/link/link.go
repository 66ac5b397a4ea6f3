package link

import (
	"errors"
	"io"
	"net"
	"sync"
)

// State is what a link does with its connections.
type State string

const (
	// Open carries bytes.
	Open State = "open"
	// Stalled holds bytes back.
	Stalled State = "stalled"
	// Refused resets connections.
	Refused State = "refused"
)

// bufferSize is how much is carried at a time: messages are small, packs are too.
const bufferSize = 32 << 10

// Link is what one party has with another through a door.
type Link struct {
	// From and To are the names of the parties.
	From, To string

	mu    sync.Mutex // guards the fields below
	state State
	// moved is closed when the state changes.
	moved chan struct{}
	pairs map[*pair]struct{}
}

func newLink(from, to string) *Link {
	return &Link{
		From: from, To: to, state: Open,
		moved: make(chan struct{}), pairs: make(map[*pair]struct{}),
	}
}

// Set changes the state. Connections of a link that becomes refused are reset.
func (l *Link) Set(state State) {
	l.mu.Lock()
	defer l.mu.Unlock()

	l.state = state
	close(l.moved)
	l.moved = make(chan struct{})
	if state == Refused {
		for p := range l.pairs {
			p.reset()
		}
	}
}

// State returns the state.
func (l *Link) State() State {
	state, _ := l.look()

	return state
}

func (l *Link) look() (State, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.state, l.moved
}

// await waits while the link is stalled; it returns false when the pair has ended.
func (l *Link) await(p *pair) bool {
	for {
		state, moved := l.look()
		if state != Stalled {
			return state == Open
		}
		select {
		case <-moved:
		case <-p.done:
			return false
		}
	}
}

// take adds a pair, unless the link is refused.
func (l *Link) take(p *pair) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == Refused {
		return false
	}
	l.pairs[p] = struct{}{}

	return true
}

func (l *Link) leave(p *pair) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pairs, p)
}

// pair is a connection of one party and the connection to the other.
type pair struct {
	link *Link
	near net.Conn
	done chan struct{}
	end  sync.Once

	mu  sync.Mutex // guards the field below
	far net.Conn
}

// reset ends both connections without a good-bye.
func (p *pair) reset() {
	p.end.Do(func() {
		close(p.done)
		abort(p.near)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.far != nil {
			abort(p.far)
		}
	})
}

// reach remembers the other connection, unless the pair has ended meanwhile.
func (p *pair) reach(far net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.done:
		abort(far)

		return false
	default:
		p.far = far

		return true
	}
}

// abort closes a connection with a reset, so that nobody takes it for an orderly end.
func abort(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // If that fails, the end is merely more polite.
	}
	_ = conn.Close() // There is nothing left to lose.
}

// carry moves bytes both ways until one side has failed or both have ended.
func (p *pair) carry() {
	var both sync.WaitGroup
	both.Go(func() { p.copy(p.far, p.near) })
	both.Go(func() { p.copy(p.near, p.far) })
	both.Wait()
	p.reset()
}

// copy moves bytes one way. An orderly end is passed on, anything else ends the pair.
func (p *pair) copy(to, from net.Conn) {
	buffer := make([]byte, bufferSize)
	for {
		n, err := from.Read(buffer)
		if !p.link.await(p) {
			p.reset()

			return
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				p.reset()

				return
			}
		}
		if errors.Is(err, io.EOF) && endWrite(to) {
			return
		}
		if err != nil {
			p.reset()

			return
		}
	}
}

// endWrite tells the other side that nothing more comes.
func endWrite(conn net.Conn) bool {
	half, ok := conn.(interface{ CloseWrite() error })

	return ok && half.CloseWrite() == nil
}
