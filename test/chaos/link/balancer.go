package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// dialTimeout is how long a balancer tries one target before it takes the next.
const dialTimeout = time.Second

// errNoTarget is returned when no target takes a connection.
var errNoTarget = errors.New("no target takes connections")

// Target is a party behind a balancer.
type Target struct {
	Address string
	Link    *Link
}

// NewTarget returns a target whose link is open.
func NewTarget(name, address string) Target {
	return Target{Address: address, Link: newLink("balancer", name)}
}

// Balancer listens at an address and leads each connection to one of several targets in turn. A
// target that refuses a connection is passed over; nothing else is known of targets.
type Balancer struct {
	targets  []Target
	listener net.Listener
	ctx      context.Context //nolint:containedctx // A balancer lives from New to Close.
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu   sync.Mutex // guards the fields below
	next int
	// behind are the names of targets by the address that a connection comes from. The kernel
	// uses addresses again, so there are not many.
	behind map[string]string
}

// NewBalancer starts a balancer on a free port of the loopback interface.
func NewBalancer(ctx context.Context, targets []Target) (*Balancer, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start balancer: %w", err)
	}
	b := &Balancer{targets: targets, listener: listener, behind: make(map[string]string)}
	b.ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
	b.running.Go(b.serve)

	return b, nil
}

// Address is host:port.
func (b *Balancer) Address() string { return b.listener.Addr().String() }

// Behind names the target of the connection that comes from an address; empty when it has none.
func (b *Balancer) Behind(from net.Addr) string {
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.behind[from.String()]
}

// Close ends everything.
func (b *Balancer) Close() error {
	b.cancel()
	err := b.listener.Close()
	b.running.Wait()
	if err != nil {
		return fmt.Errorf("stop balancer: %w", err)
	}

	return nil
}

func (b *Balancer) serve() {
	for {
		near, err := b.listener.Accept()
		if err != nil {
			return // closed
		}
		b.running.Go(func() { b.lead(near) })
	}
}

func (b *Balancer) lead(near net.Conn) {
	far, target, err := b.connect()
	if err != nil {
		abort(near)

		return
	}
	p := &pair{link: target.Link, near: near, far: far, done: make(chan struct{})}
	defer p.reset()
	if !p.link.take(p) {
		return
	}
	defer p.link.leave(p)
	stop := context.AfterFunc(b.ctx, p.reset)
	defer stop()

	b.mu.Lock()
	b.behind[near.RemoteAddr().String()] = target.Link.To
	b.mu.Unlock()
	p.carry()
}

// connect finds a target that takes a connection.
func (b *Balancer) connect() (net.Conn, Target, error) {
	for range b.targets {
		target := b.turn()
		if target.Link.State() == Refused {
			continue
		}
		ctx, cancel := context.WithTimeout(b.ctx, dialTimeout)
		conn, err := Dialer("tcp", target.Address)(ctx)
		cancel()
		if err == nil {
			return conn, target, nil
		}
	}

	return nil, Target{}, errNoTarget
}

func (b *Balancer) turn() Target {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++

	return b.targets[b.next%len(b.targets)]
}
