package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// Dial connects to who is behind a door.
type Dial func(ctx context.Context) (net.Conn, error)

// Door listens at an address and leads to one party.
type Door struct {
	address string
	dial    Dial
	// who tells which link a connection belongs to; nil when there is only the owner's.
	who  func(from net.Addr) string
	mine *Link

	running sync.WaitGroup
	ctx     context.Context //nolint:containedctx // A door lives from Open to Close.
	cancel  context.CancelFunc

	mu       sync.Mutex // guards the fields below
	listener net.Listener
	others   map[string]*Link
}

// Config describes a door.
type Config struct {
	// Owner is the party whose door it is, To who is behind it.
	Owner, To string
	// Address is where the door is, host:port.
	Address string
	// Dial connects to who is behind it.
	Dial Dial
	// Who, if set, names the party that a connection comes from; empty means the owner.
	Who func(from net.Addr) string
}

// NewDoor opens a door.
func NewDoor(config Config) (*Door, error) {
	ctx, cancel := context.WithCancel(context.Background())
	d := &Door{
		address: config.Address, dial: config.Dial, who: config.Who,
		mine: newLink(config.Owner, config.To), ctx: ctx, cancel: cancel,
		others: make(map[string]*Link),
	}
	if err := d.listen(); err != nil {
		cancel()

		return nil, err
	}

	return d, nil
}

// Dialer returns a Dial for an address as net.Dial takes it.
func Dialer(network, address string) Dial {
	return func(ctx context.Context) (net.Conn, error) {
		var dialer net.Dialer

		return dialer.DialContext(ctx, network, address)
	}
}

// Link returns the link of the owner.
func (d *Door) Link() *Link { return d.mine }

// Other returns the link of another party that uses the door.
func (d *Door) Other(from string) *Link {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.others[from] == nil {
		d.others[from] = newLink(from, d.mine.To)
	}

	return d.others[from]
}

// Refuse shuts the door: the kernel refuses connections until Allow, whoever asks.
func (d *Door) Refuse() error {
	d.mine.Set(Refused)

	d.mu.Lock()
	listener := d.listener
	d.listener = nil
	d.mu.Unlock()
	if listener == nil {
		return nil
	}
	if err := listener.Close(); err != nil {
		return fmt.Errorf("shut door: %w", err)
	}

	return nil
}

// Allow opens the door again.
func (d *Door) Allow() error {
	d.mine.Set(Open)
	d.mu.Lock()
	shut := d.listener == nil
	d.mu.Unlock()
	if !shut {
		return nil
	}

	return d.listen()
}

// Close ends everything.
func (d *Door) Close() error {
	d.cancel()
	err := d.Refuse()
	d.mu.Lock()
	for _, other := range d.others {
		other.Set(Refused)
	}
	d.mu.Unlock()
	d.running.Wait()

	return err
}

// Somebody else may have the port for a moment: a connection that was made from it.
const (
	listenTries = 200
	listenPause = 10 * time.Millisecond
)

func (d *Door) listen() error {
	var config net.ListenConfig
	var listener net.Listener
	var err error
	for range listenTries {
		listener, err = config.Listen(d.ctx, "tcp", d.address)
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
		select {
		case <-time.After(listenPause):
		case <-d.ctx.Done():
		}
	}
	if err != nil {
		return fmt.Errorf("open door: %w", err)
	}

	d.mu.Lock()
	d.listener = listener
	d.mu.Unlock()
	d.running.Go(func() { d.serve(listener) })

	return nil
}

func (d *Door) serve(listener net.Listener) {
	for {
		near, err := listener.Accept()
		if err != nil {
			return // The door was shut.
		}
		d.running.Go(func() { d.admit(near) })
	}
}

// admit brings one connection to the party behind the door.
func (d *Door) admit(near net.Conn) {
	p := &pair{link: d.linkOf(near), near: near, done: make(chan struct{})}
	defer p.reset()
	if !p.link.take(p) {
		return
	}
	defer p.link.leave(p)
	stop := context.AfterFunc(d.ctx, p.reset)
	defer stop()

	if !p.link.await(p) {
		return
	}
	far, err := d.dial(d.ctx)
	if err != nil || !p.reach(far) {
		return
	}
	p.carry()
}

func (d *Door) linkOf(near net.Conn) *Link {
	if d.who != nil {
		if from := d.who(near.RemoteAddr()); from != "" {
			return d.Other(from)
		}
	}

	return d.mine
}
