package backchannel_test

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/yamux"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"praefect/proxy/backchannel"
)

// node is the other end of a client's connection, played by the test with
// the multiplexing library alone.
type node struct {
	raw     net.Conn
	session *yamux.Session
	first   net.Conn // the stream for calls
}

func yamuxConfig(backlog int) *yamux.Config {
	cfg := yamux.DefaultConfig()
	cfg.EnableKeepAlive = false
	cfg.AcceptBacklog = backlog
	cfg.LogOutput = io.Discard
	return cfg
}

// playNode connects a client with a node and returns the client's stream too.
func playNode(t testing.TB, mux *backchannel.Client) (*node, net.Conn) {
	t.Helper()
	theirs, ours := rawPair(t)
	stream, _, err := mux.ClientHandshake(within(t), "node", ours)
	require.NoError(t, err)
	expect(t, theirs, []byte("backchannel"))
	require.NoError(t, theirs.SetDeadline(time.Time{}))
	session, err := yamux.Server(theirs, yamuxConfig(1))
	require.NoError(t, err)
	first, err := session.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, session.Close()) })
	return &node{raw: theirs, session: session, first: first}, stream
}

// TestManyVotesFromStrictNode has a node that opens one unaccepted stream at
// a time make many HTTP/2 connections, which it may do over a session's life.
func TestManyVotesFromStrictNode(t *testing.T) {
	t.Parallel()
	mux := backchannel.NewClient(insecure.NewCredentials(), backchannel.Services{
		Server: votingServer(func(context.Context, string) error { return nil }),
	}, zap.NewNop(), backchannel.DefaultConfig())
	node, _ := playNode(t, mux)
	answers := make(chan error)
	const connections = 20
	for range connections {
		conn, err := grpc.NewClient("passthrough:///praefect",
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
				return node.session.Open()
			}))
		require.NoError(t, err)
		go func() {
			err := castVote(within(t), conn, "storage-1")
			_ = conn.Close() // never closed before
			answers <- err
		}()
	}
	for range connections {
		require.NoError(t, receive(t, answers))
	}
	require.NoError(t, mux.Close())
}

// TestCloseWaitsForHandlers closes the client while a vote is waiting: the
// vote's context ends, and Close returns after its handler.
func TestCloseWaitsForHandlers(t *testing.T) {
	t.Parallel()
	entered, returned := make(chan struct{}), make(chan struct{})
	mux := backchannel.NewClient(insecure.NewCredentials(), backchannel.Services{
		Server: votingServer(func(ctx context.Context, _ string) error {
			close(entered)
			<-ctx.Done()
			close(returned)
			return ctx.Err()
		}),
	}, zap.NewNop(), backchannel.DefaultConfig())
	server := startServer(t, servingOptions{})
	client := dialWith(t, server.address, mux)
	require.NoError(t, client.check(within(t)))
	back, err := server.peers.Conn(1)
	require.NoError(t, err)
	answers := make(chan error, 1)
	go func() { answers <- castVote(within(t), back, "storage-1") }()
	receive(t, entered)
	require.NoError(t, mux.Close())
	select {
	case <-returned:
	default:
		require.Fail(t, "closed before the handler had returned")
	}
	require.Contains(t, []codes.Code{codes.Unavailable, codes.Canceled},
		status.Code(receive(t, answers)))
	_, _, err = mux.ClientHandshake(within(t), "node", discarding(t))
	require.ErrorIs(t, err, backchannel.ErrClosed)
}

// discarding is a connection to somebody who reads everything.
func discarding(t testing.TB) net.Conn {
	t.Helper()
	theirs, ours := rawPair(t)
	go func() { _, _ = io.Copy(io.Discard, theirs) }()
	return ours
}

// breakable is a connection with a node, and tells when it broke.
type breakable struct {
	node   *node
	stream net.Conn
	mux    *backchannel.Client
	broken chan error
}

func newBreakable(t *testing.T) breakable {
	t.Helper()
	broken := make(chan error, 2)
	mux := backchannel.NewClient(insecure.NewCredentials(),
		backchannel.Services{Broken: func(err error) { broken <- err }}, zap.NewNop(),
		backchannel.DefaultConfig())
	node, stream := playNode(t, mux)
	t.Cleanup(func() { require.NoError(t, mux.Close()) })
	return breakable{node: node, stream: stream, mux: mux, broken: broken}
}

// prove has the node answer.
func prove(t *testing.T, node *node, stream net.Conn) {
	t.Helper()
	send(t, node.first, []byte("x"))
	expect(t, stream, []byte("x"))
}

// TestNotBroken ends connections from this side.
func TestNotBroken(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(net.Conn, *backchannel.Client, *node) error{
		"transport closes": func(stream net.Conn, _ *backchannel.Client, _ *node) error {
			return stream.Close()
		},
		"owner closes": func(_ net.Conn, mux *backchannel.Client, _ *node) error {
			return mux.Close()
		},
		"node is faster than our closing": func(
			stream net.Conn, _ *backchannel.Client, node *node,
		) error {
			if err := stream.SetWriteDeadline(time.Now().Add(patience)); err != nil {
				return err
			}
			return node.raw.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBreakable(t)
			prove(t, b.node, b.stream)
			require.NoError(t, end(b.stream, b.mux, b.node))
			_, err := b.stream.Read(make([]byte, 1))
			require.Error(t, err)
			require.Empty(t, b.broken)
			receive(t, b.node.session.CloseChan())
		})
	}
}

// TestCloseWaitsForSidechannels closes the client while a sidechannel is
// open: its reads end, and Close returns after its handler.
func TestCloseWaitsForSidechannels(t *testing.T) {
	t.Parallel()
	entered, proceed := make(chan struct{}), make(chan struct{})
	var returned atomic.Bool
	mux := backchannel.NewClient(insecure.NewCredentials(), backchannel.Services{
		Sidechannel: func(stream net.Conn) {
			close(entered)
			_, _ = io.Copy(io.Discard, stream) // until the connection ends
			<-proceed
			returned.Store(true)
		},
	}, zap.NewNop(), backchannel.DefaultConfig())
	node, _ := playNode(t, mux)
	stream, err := node.session.Open()
	require.NoError(t, err)
	send(t, stream, []byte("sidechannel"))
	receive(t, entered)
	closed := make(chan bool, 1)
	go func() {
		_ = mux.Close() // returns nil
		closed <- returned.Load()
	}()
	receive(t, node.session.CloseChan())
	close(proceed)
	require.True(t, receive(t, closed))
}

func TestBroken(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T) (*node, net.Conn, chan error) {
		t.Helper()
		b := newBreakable(t)
		return b.node, b.stream, b.broken
	}
	t.Run("peer goes away", func(t *testing.T) {
		t.Parallel()
		node, stream, broken := setup(t)
		prove(t, node, stream)
		require.NoError(t, node.raw.Close())
		_, err := stream.Read(make([]byte, 1))
		require.Error(t, err)
		_, err = stream.Read(make([]byte, 1))
		require.Error(t, err)
		require.Error(t, receive(t, broken))
		require.Empty(t, broken, "told once")
	})
	t.Run("peer never answered", func(t *testing.T) {
		t.Parallel()
		node, stream, broken := setup(t)
		require.NoError(t, node.raw.Close())
		_, err := stream.Read(make([]byte, 1))
		require.Error(t, err)
		require.Empty(t, broken)
	})
}

// TestPeerThatStopsReading fills the pipe to a node that reads nothing: the
// write fails after the configured time instead of waiting for ever.
func TestPeerThatStopsReading(t *testing.T) {
	t.Parallel()
	cfg := backchannel.DefaultConfig()
	cfg.WriteTimeout = 20 * tick
	mux := backchannel.NewClient(
		insecure.NewCredentials(), backchannel.Services{}, zap.NewNop(), cfg)
	theirs, ours := rawPair(t)
	stream, _, err := mux.ClientHandshake(within(t), "node", ours)
	require.NoError(t, err)
	// The peer accepts the stream with a window that never ends, and reads
	// no further.
	send(t, theirs, unhex(t, "00 01 0002 00000001 7f000000"))
	start := time.Now()
	block := make([]byte, 1<<20)
	for err == nil {
		_, err = stream.Write(block)
	}
	require.ErrorIs(t, err, yamux.ErrConnectionWriteTimeout)
	require.Less(t, time.Since(start), patience)
	start = time.Now()
	require.NoError(t, stream.Close())
	require.NoError(t, mux.Close())
	require.Less(t, time.Since(start), promptly)
}

// TestHandshakeEndsWithItsContext gives up on a peer that takes no byte.
func TestHandshakeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	mux := backchannel.NewClient(insecure.NewCredentials(), backchannel.Services{},
		zap.NewNop(), backchannel.DefaultConfig())
	theirs, ours := net.Pipe()
	defer func() { require.NoError(t, theirs.Close()) }()
	ctx, cancel := context.WithTimeout(t.Context(), tick)
	defer cancel()
	_, _, err := mux.ClientHandshake(ctx, "node", ours)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = ours.Write([]byte("x"))
	require.ErrorIs(t, err, io.ErrClosedPipe)
	require.NoError(t, mux.Close())
}

// TestOpenEndsWithItsContext opens more streams than a client accepts.
func TestOpenEndsWithItsContext(t *testing.T) {
	t.Parallel()
	cfg := backchannel.DefaultConfig()
	cfg.AcceptBacklog = 1
	opened := make(chan error, 2)
	server := startServer(t, servingOptions{cfg: cfg, check: func(ctx context.Context) error {
		_, err := backchannel.OpenStream(ctx) // takes the only slot, never accepted
		opened <- err
		ctx, cancel := context.WithTimeout(ctx, tick)
		defer cancel()
		_, err = backchannel.OpenStream(ctx)
		opened <- err
		return nil
	}})
	// This client accepts nothing.
	conn, err := grpc.NewClient("passthrough:///"+server.address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
			if err != nil {
				return nil, err
			}
			if _, err := io.WriteString(conn, "backchannel"); err != nil {
				return nil, err
			}
			session, err := yamux.Client(conn, yamuxConfig(256))
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() { _ = session.Close() })
			return session.Open()
		}))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	require.NoError(t, (&dialing{conn: conn}).check(within(t)))
	require.NoError(t, receive(t, opened))
	require.ErrorIs(t, receive(t, opened), context.DeadlineExceeded)
}

// TestSecondStreamIsCutOff has a client open one stream too many.
func TestSecondStreamIsCutOff(t *testing.T) {
	t.Parallel()
	server := startServer(t, servingOptions{})
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.address)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	send(t, conn, []byte("backchannel"))
	session, err := yamux.Client(conn, yamuxConfig(256))
	require.NoError(t, err)
	defer func() { require.NoError(t, session.Close()) }()
	first, err := session.Open()
	require.NoError(t, err)
	send(t, first, []byte(http2Preface), unhex(t, "000000 04 00 00000000"))
	expect(t, first, unhex(t, "000006 04 00 00000000")) // it is served
	_, err = session.Open()
	require.NoError(t, err)
	receive(t, session.CloseChan())
}
