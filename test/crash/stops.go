package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"

	"praefect/transaction/failpoint"
)

// stops is the other end of the failpoints of all processes of a cluster: each asks at each point
// whether it may go on, and is kept waiting where a stop is armed.
type stops struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu    sync.Mutex // guards the field below
	armed map[failpoint.Point]*stop
}

// stop keeps the first process waiting that arrives at a point.
type stop struct {
	// only is the process id that counts, 0 for any; skip is how many arrivals go on before.
	only, skip int
	// reached gets the id of the process that waits; go on when released is closed.
	reached  chan int
	released chan struct{}
	release  func()
}

// listen begins to answer at a unix socket.
func listen(ctx context.Context, path string) (*stops, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for failpoints: %w", err)
	}
	s := &stops{listener: listener, armed: map[failpoint.Point]*stop{}}
	s.serving.Go(s.serve)

	return s, nil
}

func (s *stops) serve() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return // It was closed.
		}
		s.serving.Go(func() { s.answer(conn) })
	}
}

// answer lets a process go on, at once or when its stop is released or the process has ended.
func (s *stops) answer(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // This is what lets the process go on.

	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return
	}
	name, number, _ := strings.Cut(strings.TrimSpace(line), " ")
	process, err := strconv.Atoi(number)
	if err != nil {
		return
	}
	if stop := s.take(failpoint.Point(name), process); stop != nil {
		stop.reached <- process
		<-stop.released
	}
}

// take disarms the stop at a point if it counts for the process.
func (s *stops) take(point failpoint.Point, process int) *stop {
	s.mu.Lock()
	defer s.mu.Unlock()

	found := s.armed[point]
	if found == nil || found.only != 0 && found.only != process {
		return nil
	}
	if found.skip > 0 {
		found.skip--

		return nil
	}
	delete(s.armed, point)

	return found
}

// arm lets the next process wait that arrives at the point, the one with the given id if that is
// not 0, after some have gone on. The caller must release the stop.
func (s *stops) arm(point failpoint.Point, only, skip int) *stop {
	released := make(chan struct{})
	armed := &stop{
		only: only, skip: skip, reached: make(chan int, 1), released: released,
		release: sync.OnceFunc(func() { close(released) }),
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed[point] = armed

	return armed
}

// disarm forgets all stops that nobody has reached.
func (s *stops) disarm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.armed)
}

// close ends the listener. All stops must have been released.
func (s *stops) close() error {
	err := s.listener.Close()
	s.serving.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}

	return err
}
