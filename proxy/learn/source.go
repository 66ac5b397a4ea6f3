package learn

import (
	"sync"
	"time"

	"praefect/proxy/backend"
	"praefect/proxy/method"
)

// source is what one node has said.
type source struct {
	node backend.Node

	mu sync.Mutex // guards the fields below
	// known are its methods that are new, nil until it has answered once.
	known map[string]*method.Method
	// last is the last question that has ended, next the one under way; either may be nil.
	last, next *question
}

// question is one to a node.
type question struct {
	// made is the count of connections when it was put, and first tells that it is the first on
	// the last of them, so that calls have to wait for it.
	made  uint64
	first bool
	// ended is closed when the question has ended: at a time, with an answer or an error.
	ended chan struct{}
	at    time.Time
	err   error
}

// begin returns what a call has to wait for, nil if nothing, and a question that the caller has to
// put, nil if none.
func (s *source) begin(made uint64, now time.Time, config Config) (<-chan struct{}, *question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		if s.next.first || s.next.made != made {
			return s.next.ended, nil
		}
		return nil, nil
	}
	first := s.last == nil || s.last.made != made
	if !first && !s.last.old(now, config) {
		return nil, nil
	}
	s.next = &question{made: made, first: first, ended: make(chan struct{})}
	if first {
		return s.next.ended, s.next
	}
	return nil, s.next
}

func (q *question) old(now time.Time, config Config) bool {
	if q.err != nil {
		return now.Sub(q.at) >= config.Retry
	}
	return now.Sub(q.at) >= config.MaxAge
}

// end keeps what the node answered to the question under way, or the reason why it did not.
func (s *source) end(known map[string]*method.Method, err error, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.known = known
	}
	s.last, s.next = s.next, nil
	s.last.at, s.last.err = now, err
	close(s.last.ended)
}

// lookup returns a method, nil if the node does not know it, and whether it has ever answered.
func (s *source) lookup(name string) (*method.Method, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[name], s.known != nil
}
