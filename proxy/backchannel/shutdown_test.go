package backchannel_test

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"praefect/proxy/backchannel"
)

// promptly is what a stop may take when nothing runs; far below the handshake
// timeout, which must not be what ended it.
const promptly = 2 * time.Second

// TestStopWithSilentConnections stops a server while clients stand still in
// each phase of their handshake.
func TestStopWithSilentConnections(t *testing.T) {
	t.Parallel()
	serverTLS, clientTLS := certificates(t)
	stops := map[string]func(*grpc.Server){
		"stop": (*grpc.Server).Stop, "graceful stop": (*grpc.Server).GracefulStop,
	}
	for name, tc := range map[string]struct {
		tls  bool
		send string
	}{
		"nothing sent":             {},
		"nothing sent towards TLS": {tls: true},
		"part of a word":           {send: "backch"},
		"nothing after TLS":        {tls: true, send: "b"},
		"no stream":                {send: "backchannel"},
		"part of the preface":      {send: "PRI * HTTP/2.0\r\n"},
		"preface only":             {send: http2Preface},
		"stream without preface":   {send: "backchannel" + string(unhex(t, openFirst))},
	} {
		for stopName, stop := range stops {
			t.Run(name+"/"+stopName, func(t *testing.T) {
				t.Parallel()
				cfg := backchannel.DefaultConfig()
				cfg.HandshakeTimeout = time.Minute
				options := servingOptions{cfg: cfg}
				if tc.tls {
					options.inner = credentials.NewTLS(serverTLS)
				}
				server := startServer(t, options)
				conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.address)
				require.NoError(t, err)
				defer func() { _ = conn.Close() }()
				accepted(t, server.address, clientTLS, tc.tls)
				silent := conn
				if tc.tls && tc.send != "" {
					clientTLS := clientTLS.Clone()
					clientTLS.ServerName = "127.0.0.1"
					silent = tls.Client(conn, clientTLS)
				}
				send(t, silent, []byte(tc.send))

				start := time.Now()
				stop(server.grpc)
				require.Less(t, time.Since(start), promptly)
			})
		}
	}
}

// accepted returns when every connection made before it has been accepted,
// because a server accepts in order.
func accepted(t testing.TB, address string, clientTLS *tls.Config, withTLS bool) {
	t.Helper()
	if !withTLS {
		require.NoError(t, dial(t, address, backchannel.Services{}).check(within(t)))
		return
	}
	mux := backchannel.NewClient(credentials.NewTLS(clientTLS), backchannel.Services{},
		zap.NewNop(), backchannel.DefaultConfig())
	require.NoError(t, dialWith(t, address, mux).check(within(t)))
}

// TestGracefulStopFinishesCalls pins that only connections in their handshake
// are cut: a call in flight ends well.
func TestGracefulStopFinishesCalls(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	server := startServer(t, servingOptions{check: func(context.Context) error {
		close(entered)
		<-release
		return nil
	}})
	client := dial(t, server.address, backchannel.Services{})
	answers := make(chan error, 1)
	go func() { answers <- client.check(within(t)) }()
	receive(t, entered)

	stopped := make(chan struct{})
	go func() {
		server.grpc.GracefulStop()
		close(stopped)
	}()
	require.EventuallyWithT(t, func(c *assert.CollectT) { // until it accepts no more
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.address)
		if err == nil {
			_ = conn.Close()
		}
		require.Error(c, err)
	}, patience, tick)
	close(release)
	require.NoError(t, receive(t, answers))
	receive(t, stopped)
}

// TestSilentConnectionIsClosed checks the bound of a handshake.
func TestSilentConnectionIsClosed(t *testing.T) {
	t.Parallel()
	cfg := backchannel.DefaultConfig()
	cfg.HandshakeTimeout = 10 * tick
	server := startServer(t, servingOptions{cfg: cfg})
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.address)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	_, err = conn.Read(make([]byte, 1))
	require.ErrorContains(t, err, "EOF")
}

// TestPeersRefuseAfterClose closes the registry before the server.
func TestPeersRefuseAfterClose(t *testing.T) {
	t.Parallel()
	server := startServer(t, servingOptions{})
	client := dial(t, server.address, backchannel.Services{})
	require.NoError(t, client.check(within(t)))
	require.NoError(t, server.peers.Close())
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.Error(c, client.check(within(t)))
	}, patience, tick)
	_, err := server.peers.Conn(1)
	require.ErrorIs(t, err, backchannel.ErrNoPeer)
}

// TestClientGoesAwayInItsHandshake leaves nothing behind, and serves others.
func TestClientGoesAwayInItsHandshake(t *testing.T) {
	t.Parallel()
	server := startServer(t, servingOptions{})
	for _, sent := range []string{
		"", "backch", "backchannel", "PRI * HTTP/2.0", http2Preface,
		"backchannel" + string(unhex(t, openFirst)),
	} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.address)
		require.NoError(t, err)
		send(t, conn, []byte(sent))
		require.NoError(t, conn.Close())
	}
	require.NoError(t, dial(t, server.address, backchannel.Services{}).check(within(t)))
}
