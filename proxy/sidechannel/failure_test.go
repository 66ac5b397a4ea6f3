package sidechannel_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/proxy/backchannel"
	"praefect/proxy/sidechannel"
)

// flood is a server's part that sends until somebody stops it.
func flood(ctx context.Context) error {
	conn, err := sidechannel.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // returns nil
	block := make([]byte, 64<<10)
	for err == nil {
		_, err = conn.Write(block)
	}
	return err
}

// smallWindows makes writers feel a reader that stands still.
func smallWindows() backchannel.Config {
	cfg := backchannel.DefaultConfig()
	cfg.StreamWindow = 256 << 10
	return cfg
}

// TestRelayEndsWithCall cancels a fetch whose client has stopped reading.
func TestRelayEndsWithCall(t *testing.T) {
	t.Parallel()
	cfg := smallWindows()
	proxy, relaying := relayTo(t, serve(t, cfg, flood), cfg)
	client := join(t, proxy, cfg)
	ctx, cancel := context.WithCancel(within(t))
	stopped := make(chan struct{})
	waiter := client.registry.Register(func(conn *sidechannel.ClientConn) error {
		_, err := io.ReadFull(conn, make([]byte, 1<<20))
		cancel()
		<-stopped
		return err
	})
	call := callFetch(waiter.Outgoing(ctx), client.conn)
	require.Equal(t, codes.Canceled, status.Code(call))
	require.ErrorIs(t, receive(t, relaying.relays), context.Canceled)
	close(stopped)
	require.NoError(t, waiter.Close())
}

// TestRelayEndsWithClient loses the client's connection in the middle.
func TestRelayEndsWithClient(t *testing.T) {
	t.Parallel()
	cfg := smallWindows()
	proxy, relaying := relayTo(t, serve(t, cfg, flood), cfg)
	client := join(t, proxy, cfg)
	begun := make(chan struct{})
	waiter := client.registry.Register(func(conn *sidechannel.ClientConn) error {
		_, err := io.ReadFull(conn, make([]byte, 1<<20))
		close(begun)
		return errors.Join(err, drain(conn))
	})
	answers := make(chan error, 1)
	go func() { answers <- callFetch(waiter.Outgoing(within(t)), client.conn) }()
	receive(t, begun)
	require.NoError(t, client.mux.Close())
	require.Error(t, receive(t, answers))
	require.Error(t, receive(t, relaying.relays))
	_ = waiter.Close() // its callback saw the end
}

func drain(conn io.Reader) error {
	_, err := io.Copy(io.Discard, conn)
	return err
}

// TestRelayEndsWithNode loses the node's connection in the middle: the
// client's end is closed, and the call fails.
func TestRelayEndsWithNode(t *testing.T) {
	t.Parallel()
	cfg := smallWindows()
	proxy, relaying := relayTo(t, serve(t, cfg, flood), cfg)
	client := join(t, proxy, cfg)
	begun, closed := make(chan struct{}), make(chan error, 1)
	go func() {
		<-begun
		closed <- relaying.node.mux.Close() // waits for the relay, which needs its reader
	}()
	call, channel := client.fetch(within(t), func(conn *sidechannel.ClientConn) error {
		_, err := io.ReadFull(conn, make([]byte, 1<<20))
		close(begun)
		return errors.Join(err, drain(conn))
	})
	require.NoError(t, receive(t, closed))
	require.Equal(t, codes.Unavailable, status.Code(call))
	require.NoError(t, channel, "it just ended; the call's status tells")
	_ = receive(t, relaying.relays) // whether it saw the end of the bytes or of the connection
}

// TestRelayClose ends a running relay from the proxy's side.
func TestRelayClose(t *testing.T) {
	t.Parallel()
	cfg := smallWindows()
	node := join(t, serve(t, cfg, flood), cfg)
	results, opened := make(chan error, 1), make(chan bool, 1)
	begun := make(chan struct{})
	proxy := serve(t, cfg, func(ctx context.Context) error {
		nodeCtx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		relay, md, err := node.registry.Relay(ctx, cancel)
		if err != nil {
			return err
		}
		answers := make(chan error, 1)
		go func() { answers <- callFetch(outgoing(nodeCtx, md), node.conn) }()
		<-begun
		if err := relay.Close(); err != nil {
			return err
		}
		results <- relay.Wait()
		opened <- relay.Opened()
		return <-answers
	})
	client := join(t, proxy, cfg)
	call, channel := client.fetch(within(t), func(conn *sidechannel.ClientConn) error {
		_, err := io.ReadFull(conn, make([]byte, 1<<20))
		close(begun)
		return errors.Join(err, drain(conn))
	})
	require.Error(t, call)
	require.NoError(t, channel)
	require.ErrorContains(t, receive(t, results), "relay closed")
	require.True(t, receive(t, opened))
}

// TestRelayServerFinishesFirst has a node that answers without reading all.
func TestRelayServerFinishesFirst(t *testing.T) {
	t.Parallel()
	cfg := smallWindows()
	proxy, relaying := relayTo(t, serve(t, cfg, func(ctx context.Context) error {
		conn, err := sidechannel.Open(ctx)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(conn, "enough"); err != nil {
			return err
		}
		return conn.Close()
	}), cfg)
	client := join(t, proxy, cfg)
	var answer []byte
	call, channel := client.fetch(within(t), func(conn *sidechannel.ClientConn) error {
		var err error
		answer, err = io.ReadAll(conn) // its own data has no end yet, as with ssh
		return err
	})
	require.NoError(t, call)
	require.NoError(t, channel)
	require.Equal(t, "enough", string(answer))
	require.NoError(t, receive(t, relaying.relays))
}

// TestRelayAbandonsCall has a client reset its stream while the node sends:
// nothing else would end the node's call.
func TestRelayAbandonsCall(t *testing.T) {
	t.Parallel()
	cfg := smallWindows()
	proxy, relaying := relayTo(t, serve(t, cfg, flood), cfg)
	resetting := cfg
	resetting.StreamCloseTimeout = tick // what it closes, it soon resets
	client := join(t, proxy, resetting)
	enough := errors.New("enough")
	call, channel := client.fetch(within(t), func(*sidechannel.ClientConn) error { return enough })
	require.ErrorContains(t, call, "sidechannel: proxy callback: ")
	require.ErrorIs(t, channel, enough)
	require.Error(t, receive(t, relaying.relays))
}
