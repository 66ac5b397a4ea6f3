package sidechannel_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/proxy/backchannel"
	"praefect/proxy/sidechannel"
)

func TestRelay(t *testing.T) {
	t.Parallel()
	cfg := backchannel.DefaultConfig()
	proxy, relaying := relayTo(t, serve(t, cfg, greetBack), cfg)
	client := join(t, proxy, cfg)
	large := strings.Repeat("0123456789", 100_000) // many frames, split anywhere
	for _, data := range []string{"hello", "", large} {
		var answer string
		call, channel := client.fetch(within(t), exchange(data, &answer))
		require.NoError(t, call)
		require.NoError(t, channel)
		require.Equal(t, "read "+data, answer)
		require.NoError(t, receive(t, relaying.relays))
	}
}

// TestRelayEndsBeforeAnswer checks the order that clients rely on: when the
// call returns, the sidechannel has ended already.
func TestRelayEndsBeforeAnswer(t *testing.T) {
	t.Parallel()
	cfg := backchannel.DefaultConfig()
	proxy, _ := relayTo(t, serve(t, cfg, greetBack), cfg)
	client := join(t, proxy, cfg)
	proceed := make(chan struct{})
	var answer string
	waiter := client.registry.Register(func(conn *sidechannel.ClientConn) error {
		<-proceed // an end that was sent is kept for us
		return exchange("hello", &answer)(conn)
	})
	answers := make(chan error, 1)
	go func() { answers <- callFetch(waiter.Outgoing(within(t)), client.conn) }()
	close(proceed)
	require.NoError(t, receive(t, answers))
	require.NoError(t, waiter.Wait())
	require.Equal(t, "read hello", answer)
}

// TestRelayNotOpened has nodes that answer without opening the sidechannel.
func TestRelayNotOpened(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]error{
		"success": nil, "refusal": status.Error(codes.InvalidArgument, "no repository"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := backchannel.DefaultConfig()
			node := serve(t, cfg, func(context.Context) error { return want })
			proxy, relaying := relayTo(t, node, cfg)
			call, channel := join(t, proxy, cfg).fetch(within(t),
				func(*sidechannel.ClientConn) error { return nil })
			require.Equal(t, status.Code(want), status.Code(call))
			require.ErrorIs(t, channel, sidechannel.ErrNotOpened)
			require.NoError(t, receive(t, relaying.relays))
		})
	}
}

// TestRelayRefusesFrames has a client send what is no frame; the node must
// not see it, and the relay fails.
func TestRelayRefusesFrames(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		sent string
		want error
	}{
		"no header":    {"zzzz", sidechannel.ErrInvalidFrame},
		"delimiter":    {"0005x0001", sidechannel.ErrInvalidFrame},
		"no half-end":  {"0005x", io.ErrUnexpectedEOF},
		"half a frame": {"0009ab", io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := backchannel.DefaultConfig()
			seen := make(chan string, 1)
			node := serve(t, cfg, func(ctx context.Context) error {
				conn, err := sidechannel.Open(ctx)
				if err != nil {
					return err
				}
				defer func() { _ = conn.Close() }() // returns nil
				data, err := io.ReadAll(conn)
				seen <- string(data)
				if errors.Is(err, sidechannel.ErrInvalidFrame) {
					return errors.New("the node has seen it")
				}
				return nil
			})
			proxy, relaying := relayTo(t, node, cfg)
			mux := backchannel.NewClient(insecure.NewCredentials(), backchannel.Services{
				Sidechannel: func(stream net.Conn) {
					_, _ = io.CopyN(io.Discard, stream, 8)      // the id
					_, _ = io.WriteString(stream, "ok"+tc.sent) // failures show below
				},
			}, zap.NewNop(), cfg)
			conn := connect(t, proxy, mux)
			t.Cleanup(func() {
				_ = conn.Close()
				require.NoError(t, mux.Close())
			})
			err := callFetch(metadata.AppendToOutgoingContext(
				within(t), sidechannel.Key, "0"), conn)
			require.ErrorContains(t, err, "sidechannel: proxy callback: copy from client: ")
			relayErr := receive(t, relaying.relays)
			require.ErrorIs(t, relayErr, tc.want)
			require.False(t, sidechannel.Retryable(relayErr))
			require.NotContains(t, receive(t, seen), "z")
		})
	}
}

// TestRelayTowardsPlainClient offers a sidechannel on a connection that has
// no way back.
func TestRelayTowardsPlainClient(t *testing.T) {
	t.Parallel()
	cfg := backchannel.DefaultConfig()
	proxy, relaying := relayTo(t, serve(t, cfg, flood), cfg)
	plain := connect(t, proxy, insecure.NewCredentials())
	err := callFetch(metadata.AppendToOutgoingContext(within(t), sidechannel.Key, "0"), plain)
	require.ErrorContains(t, err, "sidechannel: proxy callback: "+
		"sidechannel: fail to extract mux session: non-multiplexed connection")
	require.ErrorIs(t, receive(t, relaying.relays), backchannel.ErrNotMultiplexed)
}

// TestRelayTowardsDeafClient has a client that offers an id nobody waits for.
func TestRelayTowardsDeafClient(t *testing.T) {
	t.Parallel()
	cfg := backchannel.DefaultConfig()
	proxy, relaying := relayTo(t, serve(t, cfg, greetBack), cfg)
	client := join(t, proxy, cfg)
	err := callFetch(metadata.AppendToOutgoingContext(
		within(t), sidechannel.Key, "99"), client.conn)
	require.Error(t, err)
	require.True(t, sidechannel.Retryable(receive(t, relaying.relays)))
}

func ignore(error) {}

func TestRelayNeedsOffer(t *testing.T) {
	t.Parallel()
	registry := sidechannel.NewRegistry(zap.NewNop())
	_, _, err := registry.Relay(t.Context(), ignore)
	require.ErrorIs(t, err, sidechannel.ErrNoMetadata)
	_, _, err = registry.Relay(metadata.NewIncomingContext(t.Context(), metadata.MD{}), ignore)
	require.ErrorIs(t, err, sidechannel.ErrNoID)
}

// TestRelayID gives each try an id of its own.
func TestRelayID(t *testing.T) {
	t.Parallel()
	registry := sidechannel.NewRegistry(zap.NewNop())
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(sidechannel.Key, "7"))
	for _, want := range []string{"0", "1"} {
		relay, md, err := registry.Relay(ctx, ignore)
		require.NoError(t, err)
		require.Equal(t, metadata.MD{sidechannel.Key: {want}}, md)
		require.NoError(t, relay.Wait())
		require.False(t, relay.Opened())
		require.NoError(t, relay.Close())
		require.NoError(t, relay.Close())
	}
}
