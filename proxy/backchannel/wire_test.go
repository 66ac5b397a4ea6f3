package backchannel_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc/credentials/insecure"

	"praefect/proxy/backchannel"
)

const (
	http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

	// Frames of yamux: version, type, flags, stream, length.
	openFirst     = "00 01 0001 00000001 00000000"
	openFirst16M  = "00 01 0001 00000001 00fc0000"
	ackFirst16M   = "00 01 0002 00000001 00fc0000"
	ackFirst      = "00 01 0002 00000001 00000000"
	openSecond    = "00 01 0001 00000002 00000000"
	openSecond16M = "00 01 0001 00000002 00fc0000"
	ackSecond16M  = "00 01 0002 00000002 00fc0000"
	ping          = "00 02 0001 00000000 0000002a"
	pingAnswer    = "00 02 0002 00000000 0000002a"
	dataFirst     = "00 00 0000 00000001 00000018" // 24 bytes follow
	dataSecond    = "00 00 0000 00000002 00000018"
)

func unhex(t testing.TB, digits string) []byte {
	t.Helper()
	data, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	require.NoError(t, err)
	return data
}

// rawPair is a TCP connection of which the test plays one end.
func rawPair(t testing.TB) (ours, theirs net.Conn) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	ours, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	theirs, err = listener.Accept()
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = ours.Close() // the test may have closed it
		_ = theirs.Close()
	})
	require.NoError(t, ours.SetDeadline(time.Now().Add(patience)))
	return ours, theirs
}

func expect(t testing.TB, conn io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	_, err := io.ReadFull(conn, got)
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(want), hex.EncodeToString(got))
}

func send(t testing.TB, conn io.Writer, parts ...[]byte) {
	t.Helper()
	_, err := conn.Write(bytes.Join(parts, nil))
	require.NoError(t, err)
}

// TestClientBytes plays a node: it sees the magic, one stream opened with our
// window, the HTTP/2 preface; its own stream is accepted at once and answered
// by our gRPC server; its ping comes back.
func TestClientBytes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		window             uint32
		opened, acceptance string
	}{
		"default window":  {16 << 20, openFirst16M, ackSecond16M},
		"smallest window": {256 << 10, openFirst, "00 01 0002 00000002 00000000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := backchannel.DefaultConfig()
			cfg.StreamWindow = tc.window
			mux := backchannel.NewClient(insecure.NewCredentials(), backchannel.Services{
				Server: votingServer(func(context.Context, string) error { return nil }),
			}, zap.NewNop(), cfg)
			node, raw := rawPair(t)
			stream, _, err := mux.ClientHandshake(within(t), "node", raw)
			require.NoError(t, err)
			send(t, stream, []byte(http2Preface))

			expect(t, node, []byte("backchannel"))
			expect(t, node, unhex(t, tc.opened))
			expect(t, node, unhex(t, dataFirst))
			expect(t, node, []byte(http2Preface))

			send(t, node, unhex(t, ping))
			expect(t, node, unhex(t, pingAnswer))

			send(t, node, unhex(t, openSecond16M))
			expect(t, node, unhex(t, tc.acceptance))
			send(t, node, unhex(t, dataSecond), []byte(http2Preface))
			expect(t, node, unhex(t, "00 00 0000 00000002")) // our HTTP/2 settings follow
			require.NoError(t, mux.Close())
		})
	}
}

// TestServerBytes plays a client of ours: with the magic the first stream is
// accepted with our window and carries HTTP/2; without it HTTP/2 comes bare.
func TestServerBytes(t *testing.T) {
	t.Parallel()
	settings := append([]byte(http2Preface), unhex(t, "000000 04 00 00000000")...)
	dialRaw := func(t *testing.T, address string) net.Conn {
		t.Helper()
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		return conn
	}
	for name, tc := range map[string]struct {
		window     uint32
		acceptance string
	}{
		"default window":  {16 << 20, ackFirst16M},
		"smallest window": {256 << 10, ackFirst},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := backchannel.DefaultConfig()
			cfg.StreamWindow = tc.window
			conn := dialRaw(t, startServer(t, servingOptions{cfg: cfg}).address)
			send(t, conn, []byte("backchannel"), unhex(t, openFirst))
			expect(t, conn, unhex(t, tc.acceptance))
			send(t, conn, unhex(t, "00 00 0000 00000001 00000021"), settings)
			expect(t, conn, unhex(t, "00 00 0000 00000001"))
		})
	}
	t.Run("plain", func(t *testing.T) {
		t.Parallel()
		conn := dialRaw(t, startServer(t, servingOptions{}).address)
		send(t, conn, settings)
		expect(t, conn, unhex(t, "000006 04 00 00000000"))
	})
}
