package relay_test

import (
	"context"
	"net"
	"sync"
)

// cutOn lets the connections break when the channel is closed.
func cutOn(
	dial func(context.Context) (net.Conn, error), cut <-chan struct{},
) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		closed := make(chan struct{})
		watched := &watchedConn{Conn: conn, close: sync.OnceFunc(func() { close(closed) })}
		go func() {
			select {
			case <-cut:
				_ = conn.Close()
			case <-closed:
			}
		}()
		return watched, nil
	}
}

// watchedConn tells when it is closed.
type watchedConn struct {
	net.Conn
	close func()
}

func (c *watchedConn) Close() error {
	c.close()
	return c.Conn.Close()
}
