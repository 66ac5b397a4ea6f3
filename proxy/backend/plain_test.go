package backend_test

import (
	"context"
	"crypto/tls"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/proxy/backchannel"
	"praefect/proxy/backend"
	"praefect/proxy/gitalypb"
)

// telling is a node that fails writes which come on a plain connection.
func telling() *fakeNode {
	return &fakeNode{write: func(ctx context.Context) (*gitalypb.WriteRefResponse, error) {
		if _, err := backchannel.PeerID(ctx); err != nil {
			return nil, err
		}
		return &gitalypb.WriteRefResponse{}, nil
	}}
}

// plain tells whether a call on the connection for reads came on a plain connection. It fails the
// test when the call did not come at all.
func plain(ctx context.Context, t require.TestingT, pool *backend.Pool) bool {
	conn, ok := pool.ReadConn("default", "a")
	require.True(t, ok)
	err := write(ctx, conn)
	if err == nil {
		return false
	}
	require.Equal(t, codes.Unknown, status.Code(err), err)
	require.ErrorContains(t, err, backchannel.ErrNotMultiplexed.Error())
	return true
}

// TestReadsArePlain begins on the multiplexed connection, which is there already, and goes over to
// the plain one.
func TestReadsArePlain(t *testing.T) {
	t.Parallel()
	certificate, authorities := certify(t)
	for name, secure := range map[string]func(net.Listener, *backend.Node) net.Listener{
		"tcp": func(listener net.Listener, _ *backend.Node) net.Listener { return listener },
		"tls": func(listener net.Listener, to *backend.Node) net.Listener {
			to.Address = "tls://" + listener.Addr().String()
			return tls.NewListener(listener, &tls.Config{
				Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener := listen(t)
			to := node("a", listener)
			telling().start(t, secure(listener, &to))
			cfg := backend.DefaultConfig()
			cfg.RootCAs = authorities
			pool := dialWith(t, backend.Dependencies{}, cfg, to)
			ctx := within(t)
			require.False(t, plain(ctx, t, pool), "the first does not wait")
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				require.True(c, plain(ctx, c, pool))
			}, patience, tick)
			require.NoError(t, write(ctx, connTo(t, pool, "a")), "writes stay multiplexed")
			_, ok := pool.ReadConn("default", "b")
			require.False(t, ok)
		})
	}
}

// TestReadsGoOnWithoutThePlainConnection has a node that closes all plain connections.
func TestReadsGoOnWithoutThePlainConnection(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	refused := make(chan struct{}, 64)
	telling().start(t, onlyMultiplexed{Listener: listener, refused: refused})
	pool := dial(t, backend.Dependencies{}, node("a", listener))
	ctx := within(t)
	require.False(t, plain(ctx, t, pool))
	receive(t, refused)
	for range 20 {
		require.False(t, plain(ctx, t, pool))
	}
}

// onlyMultiplexed is a listener whose plain connections end at once.
type onlyMultiplexed struct {
	net.Listener
	refused chan<- struct{}
}

// Accept implements net.Listener.
func (l onlyMultiplexed) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &choosy{Conn: conn, refused: l.refused}, nil
}

// choosy is a connection that closes when it does not begin as a multiplexed one.
type choosy struct {
	net.Conn
	begun   bool
	refused chan<- struct{}
}

// Read implements net.Conn.
func (c *choosy) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.begun && p[0] == 'P' {
		c.refused <- struct{}{}
		return 0, c.Close()
	}
	c.begun = c.begun || n > 0
	return n, err
}

// TestPlainConnectionBreaks tells of a plain connection that breaks, as of a multiplexed one.
func TestPlainConnectionBreaks(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	accepted := make(chan net.Conn, 8)
	telling().start(t, keeping{Listener: listener, accepted: accepted})
	to := node("a", listener)
	broken := make(chan backend.Node, 8)
	pool := dial(t, backend.Dependencies{OnBroken: func(n backend.Node) { broken <- n }}, to)
	ctx := within(t)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.True(c, plain(ctx, c, pool))
	}, patience, tick)
	receive(t, accepted)
	second := receive(t, accepted)
	require.NoError(t, second.(*net.TCPConn).SetLinger(0))
	require.NoError(t, second.Close())
	require.Equal(t, to, receive(t, broken))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.True(c, plain(ctx, c, pool), "it is made anew")
	}, patience, tick)
	require.NoError(t, pool.Close())
	require.Empty(t, broken, "closing is no break")
}

// keeping is a listener that hands the connections to the test as well.
type keeping struct {
	net.Listener
	accepted chan<- net.Conn
}

// Accept implements net.Listener.
func (l keeping) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.accepted <- conn
	}
	return conn, err
}

// TestReadOptions are those of plain connections alone.
func TestReadOptions(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	telling().start(t, listener)
	counted := func(calls chan<- struct{}) grpc.DialOption {
		return grpc.WithUnaryInterceptor(func(
			ctx context.Context, method string, request, reply any, conn *grpc.ClientConn,
			invoke grpc.UnaryInvoker, options ...grpc.CallOption,
		) error {
			calls <- struct{}{}
			return invoke(ctx, method, request, reply, conn, options...)
		})
	}
	writes, reads := make(chan struct{}, 1024), make(chan struct{}, 1024)
	pool := dial(t, backend.Dependencies{
		DialOptions: []grpc.DialOption{counted(writes)},
		ReadOptions: []grpc.DialOption{counted(reads)},
	}, node("a", listener))
	ctx := within(t)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.True(c, plain(ctx, c, pool))
	}, patience, tick)
	require.Len(t, reads, 1)
	require.NotEmpty(t, writes)
}
