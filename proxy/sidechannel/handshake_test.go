package sidechannel_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"praefect/proxy/backchannel"
	"praefect/proxy/sidechannel"
)

// TestClientBytes plays a server towards the waiting side: eight bytes of id
// (the eleven before them have been read), "ok", frames, raw bytes.
func TestClientBytes(t *testing.T) {
	t.Parallel()
	registry := sidechannel.NewRegistry(zap.NewNop())
	ignored := registry.Register(func(*sidechannel.ClientConn) error { return nil })
	require.Zero(t, ignored.ID())
	var answer string
	waiter := registry.Register(exchange("hello", &answer))
	server, stream := net.Pipe()
	accepted := make(chan struct{})
	go func() {
		registry.Accept(stream)
		close(accepted)
	}()
	require.NoError(t, server.SetDeadline(time.Now().Add(patience)))
	_, err := server.Write([]byte{0, 0, 0, 0, 0, 0, 0, 1})
	require.NoError(t, err)
	want := "ok" + "0009hello" + "0000"
	got := make([]byte, len(want))
	_, err = io.ReadFull(server, got)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
	_, err = io.WriteString(server, "raw \x00 bytes")
	require.NoError(t, err)
	require.NoError(t, server.Close())
	require.NoError(t, waiter.Wait())
	receive(t, accepted)
	require.Equal(t, "raw \x00 bytes", answer)
	require.ErrorIs(t, ignored.Close(), sidechannel.ErrNotOpened)
}

// TestServerBytes plays a client towards the opening side.
func TestServerBytes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer, message string
		retryable       bool
	}{
		"confirmed": {answer: "ok0005x0000"},
		"refused":   {answer: "no", message: `sidechannel: expected ok, got "no"`},
		"cut": {
			answer: "o", message: "sidechannel: receive confirmation: unexpected EOF",
			retryable: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opened := make(chan error, 1)
			address := serve(t, backchannel.DefaultConfig(), func(ctx context.Context) error {
				conn, err := sidechannel.Open(ctx)
				opened <- err
				if err != nil {
					return err
				}
				if _, err := io.ReadAll(conn); err != nil {
					return err
				}
				return conn.Close()
			})
			greetings := make(chan []byte, 1)
			mux := backchannel.NewClient(insecure.NewCredentials(), backchannel.Services{
				Sidechannel: func(stream net.Conn) {
					id := make([]byte, 8)
					_, _ = io.ReadFull(stream, id) // too few bytes fail the test below
					greetings <- id
					_, _ = io.WriteString(stream, tc.answer)
				},
			}, zap.NewNop(), backchannel.DefaultConfig())
			conn := connect(t, address, mux)
			t.Cleanup(func() {
				_ = conn.Close()
				require.NoError(t, mux.Close())
			})
			err := callFetch(metadata.AppendToOutgoingContext(
				within(t), sidechannel.Key, "-2"), conn)
			require.Equal(t, []byte{255, 255, 255, 255, 255, 255, 255, 254}, receive(t, greetings))
			openErr := receive(t, opened)
			require.Equal(t, tc.retryable, sidechannel.Retryable(openErr))
			if tc.message == "" {
				require.NoError(t, err)
				require.NoError(t, openErr)
				return
			}
			require.EqualError(t, openErr, tc.message)
		})
	}
}

// TestOneShot opens the same sidechannel twice.
func TestOneShot(t *testing.T) {
	t.Parallel()
	registry := sidechannel.NewRegistry(zap.NewNop())
	waiter := registry.Register(func(conn *sidechannel.ClientConn) error {
		_, err := io.ReadAll(conn)
		return err
	})
	open := func() error {
		server, stream := net.Pipe()
		served := make(chan struct{})
		go func() {
			registry.Accept(stream)
			_ = stream.Close() // as the connection does
			close(served)
		}()
		_, err := server.Write(binary.BigEndian.AppendUint64(nil, uint64(waiter.ID())))
		if err == nil {
			_, err = io.ReadFull(server, make([]byte, 2))
		}
		_ = server.Close() // its only result is nil
		receive(t, served)
		return err
	}
	require.NoError(t, open())
	require.NoError(t, waiter.Wait())
	require.ErrorIs(t, open(), io.EOF)
}

// TestSilentOpener bounds the handshake on the waiting side.
func TestSilentOpener(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string]int{"no id": 0, "part of an id": 3, "does not read": 8} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				registry := sidechannel.NewRegistry(zap.NewNop())
				waiter := registry.Register(func(*sidechannel.ClientConn) error { return nil })
				server, stream := net.Pipe()
				accepted := make(chan struct{})
				go func() {
					registry.Accept(stream)
					_ = stream.Close() // as the connection does
					close(accepted)
				}()
				_, err := server.Write(make([]byte, sent))
				require.NoError(t, err)
				start := time.Now()
				<-accepted
				require.Equal(t, 5*time.Second, time.Since(start))
				require.Error(t, waiter.Close())
				require.NoError(t, server.Close())
			})
		})
	}
}
