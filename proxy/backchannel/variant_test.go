package backchannel_test

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-yamux/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"praefect/proxy/backchannel"
)

// streams makes a listener of the streams that a session accepts.
type streams struct {
	*yamux.Session
	inner net.Listener
}

// Addr returns the address of the session's own listener.
func (s streams) Addr() net.Addr { return s.inner.Addr() }

// variant plays a node with the other implementation of yamux, the one that measures how long its
// pings take: those have to be answered, although ours sends none.
func variant(t *testing.T, check func(ctx context.Context, session *yamux.Session) error) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)

	var session atomic.Pointer[yamux.Session]
	server := grpc.NewServer(grpc.WaitForHandlers(true))
	healthpb.RegisterHealthServer(server, &checker{check: func(ctx context.Context) error {
		return check(ctx, session.Load())
	}})
	served := make(chan error, 1)
	go func() {
		served <- func() error {
			conn, err := listener.Accept()
			if err != nil {
				return err
			}
			if _, err := io.ReadFull(conn, make([]byte, len("backchannel"))); err != nil {
				return err
			}
			config := yamux.DefaultConfig()
			config.LogOutput = io.Discard
			accepted, err := yamux.Server(conn, config, nil)
			if err != nil {
				return err
			}
			session.Store(accepted)

			return server.Serve(streams{Session: accepted, inner: listener})
		}()
	}()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, listener.Close())
		<-served //nolint:errcheck // It ends with whatever ended the session.
	})

	return listener.Addr().String()
}

// TestOtherYamux calls a node with the other implementation of yamux, which votes on streams that
// it opens, and pings.
func TestOtherYamux(t *testing.T) {
	t.Parallel()
	votes := make(chan string, 4)
	address := variant(t, func(ctx context.Context, session *yamux.Session) error {
		// The server of a session opens streams with even numbers.
		back, err := grpc.NewClient("passthrough:///back",
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				return session.Open(ctx)
			}), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return err
		}
		defer back.Close() //nolint:errcheck // The vote is over.
		for range 4 {
			if err := castVote(ctx, back, "storage-1"); err != nil {
				return err
			}
		}
		_, err = session.Ping()

		return err
	})
	client := dial(t, address, backchannel.Services{
		Server: votingServer(func(_ context.Context, storage string) error {
			votes <- storage
			return nil
		}),
	})
	for range 3 {
		require.NoError(t, client.check(within(t)))
		for range 4 {
			require.Equal(t, "storage-1", receive(t, votes))
		}
	}
}

// TestOtherYamuxMeasures waits until such a node knows how long its pings take.
func TestOtherYamuxMeasures(t *testing.T) {
	t.Parallel()
	address := variant(t, func(ctx context.Context, session *yamux.Session) error {
		for session.RTT() == 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(tick):
			}
		}
		return nil
	})
	client := dial(t, address, backchannel.Services{
		Server: votingServer(func(context.Context, string) error { return nil }),
	})
	require.NoError(t, client.check(within(t)))
}
