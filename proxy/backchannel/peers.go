package backchannel

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Peers knows the multiplexed connections that clients have made to this
// process, each by an id that is never used twice. All methods are safe for
// concurrent use.
type Peers struct {
	log *zap.Logger

	mu     sync.Mutex // guards the fields below and additions to ends
	closed bool
	last   uint64 // the first connection gets 1
	byID   map[uint64]*caller
	ends   sync.WaitGroup // one for each connection that has not ended
}

// caller is the other end of a connection that was made to us.
type caller struct {
	id   uint64
	link *link

	mu   sync.Mutex       // guards conn
	conn *grpc.ClientConn // nil until somebody calls back
	gone bool             // no conn is made any more
}

// NewPeers returns a registry without connections. One serves all listeners
// of a process.
func NewPeers(log *zap.Logger) *Peers {
	return &Peers{log: log.Named("backchannel"), byID: make(map[uint64]*caller)}
}

// Conn returns the way back to the client that made the connection with the
// given id. Calls on it go over streams that are opened when they are first
// needed; they fail with Unavailable or Canceled when the connection ends. It
// fails with [ErrNoPeer] when the connection has ended.
func (p *Peers) Conn(id uint64) (grpc.ClientConnInterface, error) {
	p.mu.Lock()
	c, ok := p.byID[id]
	p.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("%w %d", ErrNoPeer, id)
	}
	return c.dial()
}

// Close ends all multiplexed connections and waits until nothing serves them
// any more. Connections that are made later are refused. Call it after the
// gRPC servers have stopped. It returns nil.
func (p *Peers) Close() error {
	p.mu.Lock()
	p.closed = true
	callers := make([]*caller, 0, len(p.byID))
	for _, c := range p.byID {
		callers = append(callers, c)
	}
	p.mu.Unlock()
	for _, c := range callers {
		c.link.close()
	}
	p.ends.Wait()
	return nil
}

// enter registers a connection and watches it until it ends.
func (p *Peers) enter(l *link) (*caller, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	p.last++
	c := &caller{id: p.last, link: l}
	p.byID[c.id] = c
	p.ends.Go(func() { p.watch(c) })
	return c, nil
}

// watch returns when the connection has ended. The first stream is the only
// one that a client ever opens. One more would sit in the backlog with its
// bytes for the life of the connection, so whoever opens it is cut off.
func (p *Peers) watch(c *caller) {
	if _, err := c.link.session.AcceptStream(); err == nil {
		p.log.Warn("connection closed: client opened a second stream",
			zap.Uint64("peer_id", c.id))
	}
	c.link.close()
	p.mu.Lock()
	delete(p.byID, c.id)
	p.mu.Unlock()
	c.leave()
}

// dial returns the gRPC connection to the client, and makes it if need be.
func (c *caller) dial() (grpc.ClientConnInterface, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return nil, fmt.Errorf("%w %d", ErrNoPeer, c.id)
	}
	if c.conn != nil {
		return c.conn, nil
	}
	conn, err := grpc.NewClient("passthrough:///peer-"+strconv.FormatUint(c.id, 10),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return c.link.open(ctx)
		}),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
	)
	if err != nil {
		return nil, fmt.Errorf("make connection to peer %d: %w", c.id, err)
	}
	c.conn = conn
	return conn, nil
}

func (c *caller) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	if c.conn != nil {
		_ = c.conn.Close() // fails only when closed twice
	}
}
