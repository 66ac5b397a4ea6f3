package sidechannel

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// handshakeTimeout bounds the exchange that opens a sidechannel, on
	// either side. The other side gives up after the same time.
	handshakeTimeout = 5 * time.Second

	idLen        = 8
	confirmation = "ok"
)

// Registry knows who waits for a sidechannel: one for all connections of a
// process, so that ids are unique in it. All methods are safe for concurrent
// use.
type Registry struct {
	log     *zap.Logger
	buffers sync.Pool // of *[copyBuffer]byte

	mu      sync.Mutex // guards the fields below
	next    int64      // ids count from 0
	waiters map[int64]*Waiter
}

// NewRegistry returns a registry without waiters.
func NewRegistry(log *zap.Logger) *Registry {
	return &Registry{
		log:     log.Named("sidechannel"),
		buffers: sync.Pool{New: func() any { return new([copyBuffer]byte) }},
		waiters: make(map[int64]*Waiter),
	}
}

// Register announces that the server of a call that is about to be made may
// open one sidechannel. The callback runs when it does, in a goroutine of the
// connection, and the stream is closed when it returns; it returns after it
// has read io.EOF, or when its stream fails. The caller closes the waiter
// when its call has ended.
func (r *Registry) Register(callback func(*ClientConn) error) *Waiter {
	return r.register(func(stream net.Conn) error {
		return callback(newClientConn(stream))
	})
}

func (r *Registry) register(callback func(net.Conn) error) *Waiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &Waiter{
		registry: r,
		id:       r.next,
		callback: callback,
		done:     make(chan struct{}),
	}
	r.waiters[w.id] = w
	r.next++
	return w
}

// Accept serves a stream that begins as a sidechannel, after these first
// bytes, and returns when its waiter has done with it. It is what
// backchannel.Services asks for. The caller closes the stream.
func (r *Registry) Accept(stream net.Conn) {
	w, err := r.handshake(stream)
	if w == nil {
		r.log.Debug("sidechannel refused", zap.Error(err))
		return
	}
	if err == nil {
		err = w.callback(stream)
	}
	// The end must be on its way before anybody is told that we are done.
	_ = stream.Close() // a stream's close reports nothing
	w.err = err
	close(w.done)
}

// handshake returns the waiter whose stream this is, if there is one; with an
// error when it could not be confirmed.
func (r *Registry) handshake(stream net.Conn) (*Waiter, error) {
	// Setting a deadline on a stream cannot fail.
	_ = stream.SetDeadline(time.Now().Add(handshakeTimeout))
	var id [idLen]byte
	if _, err := io.ReadFull(stream, id[:]); err != nil {
		return nil, fmt.Errorf("read stream id: %w", err)
	}
	w, err := r.take(int64(binary.BigEndian.Uint64(id[:])), stream)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(stream, confirmation); err != nil {
		return w, fmt.Errorf("confirm sidechannel: %w", err)
	}
	w.established(stream)
	return w, nil
}

// take finds a waiter and gives it its stream; nobody finds it again.
func (r *Registry) take(id int64, stream net.Conn) (*Waiter, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w, ok := r.waiters[id]
	if !ok {
		return nil, fmt.Errorf("nobody waits for sidechannel %d", id)
	}
	delete(r.waiters, id)
	w.stream = stream
	return w, nil
}

// withdraw tells whether the waiter was still waiting; then it is no longer.
func (r *Registry) withdraw(w *Waiter) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, waiting := r.waiters[w.id]; !waiting {
		return false
	}
	delete(r.waiters, w.id)
	w.err = ErrNotOpened
	close(w.done)
	return true
}
