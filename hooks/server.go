package hooks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// requestWait is how long a connection may take to say what it wants. A hook writes at once.
	requestWait = 10 * time.Second

	// connectionsMax bounds the hooks that are served at the same time; more wait in the listen
	// queue. A push has at most two connections open.
	connectionsMax = 4096

	// acceptPause is how long to wait when a hook cannot be accepted, for want of descriptors most
	// likely. Hooks wait in the queue meanwhile.
	acceptPause = 100 * time.Millisecond

	// postReceiveGrace is how long a post-receive hook may go on after the pusher has left: the
	// push is done, and its consequences should be.
	postReceiveGrace = time.Minute
)

// Server answers the hooks of a node's Git processes. All methods are safe for concurrent use.
type Server struct {
	operations *register
	onError    func(error)
}

// NewServer returns a server. What goes wrong with a single connection is told to onError, which
// must return soon.
func NewServer(onError func(error)) *Server {
	return &Server{operations: newRegister(), onError: onError}
}

// Add makes an operation known. The token goes into the payload of its Git process; remove is
// called when that process has ended.
func (s *Server) Add(operation Operation) (token string, remove func()) {
	return s.operations.add(operation)
}

// Serve answers hooks until the listener is closed, which ctx does when it ends, and returns when
// every connection has been answered or dropped. The listener is closed on return.
func (s *Server) Serve(ctx context.Context, listener net.Listener) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() }) // Accept tells
	defer stop()

	var connections sync.WaitGroup
	defer connections.Wait()
	defer cancel()

	slots := make(chan struct{}, connectionsMax)
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.onError(fmt.Errorf("accept hook: %w", err))
			wait(ctx, acceptPause)

			continue
		}

		slots <- struct{}{}
		connections.Go(func() {
			defer func() { <-slots }()
			s.serve(ctx, conn)
		})
	}
}

// wait waits, but not longer than ctx.
func wait(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()

	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// serve answers the one request of a connection.
func (s *Server) serve(ctx context.Context, conn net.Conn) {
	defer conn.Close() //nolint:errcheck // The hook has its answer or is gone.

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends reads and writes
	defer stop()

	if err := conn.SetReadDeadline(time.Now().Add(requestWait)); err != nil {
		s.onError(fmt.Errorf("bound request: %w", err))

		return
	}
	var r request
	if err := readFrame(conn, &r); err != nil {
		s.onError(fmt.Errorf("read request: %w", err))

		return
	}

	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer conn.Close() //nolint:errcheck // as above; ends awaitEnd
	waiting.Go(func() {
		defer cancel()
		awaitEnd(conn)
	})

	if err := writeFrame(conn, answerOf(s.handle(ctx, r))); err != nil && ctx.Err() == nil {
		s.onError(fmt.Errorf("answer %s hook: %w", r.Hook, err))
	}
}

// awaitEnd returns when the other end has closed the connection, or ours was closed. A hook sends
// one request only.
func awaitEnd(conn net.Conn) {
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return
	}

	var one [1]byte
	_, _ = conn.Read(one[:]) // Whatever it returns: there is nothing more to expect.
}

func (s *Server) handle(ctx context.Context, r request) error {
	operation, err := s.operations.find(r.Token)
	if err != nil {
		return err
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if r.Call != callHold {
		defer watch(ctx, operation.Done, func() { cancel(ErrOperationEnded) })()
	}

	switch r.Call {
	case callVote:
		return vote(ctx, operation, r)
	case callStop:
		if operation.Voter == nil {
			return nil
		}

		return operation.Voter.Stop(ctx)
	case callHold:
		return hold(ctx, operation, r.Hook)
	default:
		return fmt.Errorf("%w: %q", ErrUnknownCall, r.Call)
	}
}

func vote(ctx context.Context, operation Operation, r request) error {
	if operation.Voter == nil {
		return nil
	}

	var hash Hash
	if len(r.Hash) != len(hash) {
		return fmt.Errorf("%w: %d bytes", ErrInvalidHash, len(r.Hash))
	}
	copy(hash[:], r.Hash)

	return operation.Voter.Vote(ctx, r.Phase, hash)
}

// hold returns when a custom hook must end, or the hook process has closed the connection.
func hold(ctx context.Context, operation Operation, hook string) error {
	select {
	case <-operation.Done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if hook != hookPostReceive {
		return nil
	}

	grace := time.NewTimer(postReceiveGrace)
	defer grace.Stop()
	select {
	case <-grace.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}

	return nil
}

// watch calls act when done is closed before ctx ends. The returned function ends the watch and
// waits for it.
func watch(ctx context.Context, done <-chan struct{}, act func()) func() {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})

	go func() {
		defer close(ended)
		select {
		case <-done:
			act()
		case <-ctx.Done():
		}
	}()

	return func() {
		cancel()
		<-ended
	}
}
