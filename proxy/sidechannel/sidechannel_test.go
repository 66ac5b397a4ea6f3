package sidechannel_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/proxy/backchannel"
	"praefect/proxy/sidechannel"
)

// greetBack is a server's part: it answers what it has read.
func greetBack(ctx context.Context) error {
	conn, err := sidechannel.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // returns nil
	data, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	_, err = io.WriteString(conn, "read "+string(data))
	return err
}

// exchange is a client's part: it sends, half-closes, and reads to the end.
func exchange(data string, answer *string) func(*sidechannel.ClientConn) error {
	return func(conn *sidechannel.ClientConn) error {
		if _, err := io.WriteString(conn, data); err != nil {
			return err
		}
		if err := conn.CloseWrite(); err != nil {
			return err
		}
		all, err := io.ReadAll(conn)
		*answer = string(all)
		return err
	}
}

func TestSidechannel(t *testing.T) {
	t.Parallel()
	client := join(t, serve(t, backchannel.DefaultConfig(), greetBack), backchannel.DefaultConfig())
	for range 3 {
		var answer string
		call, channel := client.fetch(within(t), exchange("hello", &answer))
		require.NoError(t, call)
		require.NoError(t, channel)
		require.Equal(t, "read hello", answer)
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	client := join(t, "127.0.0.1:1", backchannel.DefaultConfig())
	unused := func(*sidechannel.ClientConn) error { return nil }
	for want := range int64(3) {
		waiter := client.registry.Register(unused)
		require.Equal(t, want, waiter.ID())
		ctx := metadata.AppendToOutgoingContext(t.Context(), "other", "kept", sidechannel.Key, "77")
		md, _ := metadata.FromOutgoingContext(waiter.Outgoing(ctx))
		require.Equal(t, []string{"kept"}, md.Get("other"))
		values := md.Get(sidechannel.Key)
		require.Equal(t, string(rune('0'+want)), values[len(values)-1], "the last one counts")
		require.ErrorIs(t, waiter.Wait(), sidechannel.ErrNotOpened)
		require.ErrorIs(t, waiter.Close(), sidechannel.ErrNotOpened)
	}
}

func TestOffered(t *testing.T) {
	t.Parallel()
	require.False(t, sidechannel.Offered(t.Context()))
	with := metadata.NewIncomingContext(t.Context(), metadata.Pairs(sidechannel.Key, "3"))
	require.True(t, sidechannel.Offered(with))
}

// TestServerFinds checks which value of the caller's metadata counts.
func TestServerFinds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		values []string
		found  bool
	}{
		"last value": {[]string{"12", "0"}, true},
		"other last": {[]string{"0", "12"}, false},
		"no number":  {[]string{"none"}, true}, // counts as 0
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := serve(t, backchannel.DefaultConfig(), greetBack)
			client := join(t, address, backchannel.DefaultConfig())
			var answer string
			waiter := client.registry.Register(exchange("x", &answer)) // has id 0
			err := callFetch(metadata.NewOutgoingContext(within(t),
				metadata.MD{sidechannel.Key: tc.values}), client.conn)
			if tc.found {
				require.NoError(t, err)
				require.NoError(t, waiter.Close())
				return
			}
			require.ErrorContains(t, err, "sidechannel: receive confirmation: EOF")
			require.ErrorIs(t, waiter.Close(), sidechannel.ErrNotOpened)
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	_, err := sidechannel.Open(t.Context())
	require.EqualError(t, err, "sidechannel: failed to extract incoming metadata")
	require.ErrorIs(t, err, sidechannel.ErrNoMetadata)
	require.False(t, sidechannel.Retryable(err))

	opened := make(chan error, 1)
	address := serve(t, backchannel.DefaultConfig(), func(ctx context.Context) error {
		_, err := sidechannel.Open(ctx)
		opened <- err
		return err
	})
	client := join(t, address, backchannel.DefaultConfig())
	require.Error(t, callFetch(within(t), client.conn))
	err = receive(t, opened)
	require.ErrorIs(t, err, sidechannel.ErrNoID)
	require.EqualError(t, err, "sidechannel: sidechannel-id not found in incoming metadata")

	plain := connect(t, address, insecure.NewCredentials())
	require.Error(t, callFetch(
		metadata.AppendToOutgoingContext(within(t), sidechannel.Key, "0"), plain))
	err = receive(t, opened)
	require.ErrorIs(t, err, backchannel.ErrNotMultiplexed)
	require.EqualError(t, err,
		"sidechannel: fail to extract mux session: non-multiplexed connection")
	require.False(t, sidechannel.Retryable(err))

	require.Error(t, callFetch(
		metadata.AppendToOutgoingContext(within(t), sidechannel.Key, "5"), client.conn))
	require.True(t, sidechannel.Retryable(receive(t, opened)), "nobody waits for 5")
}

// TestCloseEndsCallback closes a waiter whose callback reads from a server
// that sends nothing.
func TestCloseEndsCallback(t *testing.T) {
	t.Parallel()
	address := serve(t, backchannel.DefaultConfig(), func(ctx context.Context) error {
		conn, err := sidechannel.Open(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }() // returns nil
		<-ctx.Done()
		return ctx.Err()
	})
	client := join(t, address, backchannel.DefaultConfig())
	reading := make(chan struct{})
	waiter := client.registry.Register(func(conn *sidechannel.ClientConn) error {
		close(reading)
		_, err := io.ReadAll(conn)
		return err
	})
	ctx, cancel := context.WithCancel(within(t))
	answers := make(chan error, 1)
	go func() { answers <- callFetch(waiter.Outgoing(ctx), client.conn) }()
	receive(t, reading)
	require.Error(t, waiter.Close())
	require.Error(t, waiter.Wait())
	cancel()
	require.Equal(t, codes.Canceled, status.Code(receive(t, answers)))
}

// TestContextEndsServerConn has a server read from a client that sends
// nothing, until its call is cancelled.
func TestContextEndsServerConn(t *testing.T) {
	t.Parallel()
	opened, results := make(chan struct{}), make(chan error, 1)
	address := serve(t, backchannel.DefaultConfig(), func(ctx context.Context) error {
		conn, err := sidechannel.Open(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }() // returns nil
		close(opened)
		_, err = conn.Read(make([]byte, 1))
		results <- err
		return err
	})
	client := join(t, address, backchannel.DefaultConfig())
	ctx, cancel := context.WithCancel(within(t))
	go func() {
		<-opened
		cancel()
	}()
	call, _ := client.fetch(ctx, func(conn *sidechannel.ClientConn) error {
		_, err := io.ReadAll(conn)
		return err
	})
	require.Equal(t, codes.Canceled, status.Code(call))
	require.Error(t, receive(t, results))
}

// TestCallbackError is handed to whoever made the call.
func TestCallbackError(t *testing.T) {
	t.Parallel()
	client := join(t, serve(t, backchannel.DefaultConfig(), greetBack), backchannel.DefaultConfig())
	refused := errors.New("refused")
	call, channel := client.fetch(within(t), func(*sidechannel.ClientConn) error { return refused })
	require.Error(t, call, "the client's end came without its half-close")
	require.ErrorIs(t, channel, refused)
}
