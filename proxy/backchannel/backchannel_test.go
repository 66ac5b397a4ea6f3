package backchannel_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"praefect/proxy/backchannel"
)

// TestVoteOverBackchannel makes a call whose handler votes on the caller's
// own connection before it answers.
func TestVoteOverBackchannel(t *testing.T) {
	t.Parallel()
	ids := make(chan uint64, 4)
	var server *serving
	server = startServer(t, servingOptions{check: func(ctx context.Context) error {
		id, err := backchannel.PeerID(ctx)
		if err != nil {
			return err
		}
		ids <- id
		back, err := server.peers.Conn(id)
		if err != nil {
			return err
		}
		return castVote(ctx, back, "storage-1")
	}})
	votes := make(chan string, 4)
	vote := func(caller string) func(context.Context, string) error {
		return func(_ context.Context, storage string) error {
			votes <- caller + " " + storage
			return nil
		}
	}
	first := dial(t, server.address, backchannel.Services{Server: votingServer(vote("first"))})
	second := dial(t, server.address, backchannel.Services{Server: votingServer(vote("second"))})
	for range 2 {
		require.NoError(t, first.check(within(t)))
		require.Equal(t, "first storage-1", receive(t, votes))
		require.Equal(t, uint64(1), receive(t, ids))
	}
	require.NoError(t, second.check(within(t)))
	require.Equal(t, "second storage-1", receive(t, votes))
	require.Equal(t, uint64(2), receive(t, ids))
}

func TestPeerIsForgottenWithItsConnection(t *testing.T) {
	t.Parallel()
	server := startServer(t, servingOptions{})
	client := dial(t, server.address, backchannel.Services{
		Server: votingServer(func(context.Context, string) error { return nil }),
	})
	require.NoError(t, client.check(within(t)))
	back, err := server.peers.Conn(1)
	require.NoError(t, err)
	require.NoError(t, castVote(within(t), back, "storage-1"))

	require.NoError(t, client.conn.Close())
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := server.peers.Conn(1)
		require.ErrorIs(c, err, backchannel.ErrNoPeer)
		require.EqualError(c, err, "no backchannel for peer 1")
	}, patience, tick)
	require.Error(t, castVote(within(t), back, "storage-1"))
	_, err = server.peers.Conn(0)
	require.EqualError(t, err, "no backchannel for peer 0")
}

func TestPlainConnection(t *testing.T) {
	t.Parallel()
	server := startServer(t, servingOptions{check: func(ctx context.Context) error {
		if _, err := backchannel.PeerID(ctx); !errors.Is(err, backchannel.ErrNotMultiplexed) {
			return errors.New("a plain connection has no peer id")
		}
		if _, err := backchannel.OpenStream(ctx); !errors.Is(err, backchannel.ErrNotMultiplexed) {
			return errors.New("a plain connection has no streams")
		}
		return nil
	}})
	conn, err := grpc.NewClient("passthrough:///"+server.address,
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	require.NoError(t, (&dialing{conn: conn}).check(within(t)))

	_, err = backchannel.PeerID(t.Context())
	require.EqualError(t, err, "non-multiplexed connection")
}

// TestSecurityLevel checks that what is below the multiplexing stays visible:
// gRPC refuses credentials that need TLS otherwise.
func TestSecurityLevel(t *testing.T) {
	t.Parallel()
	serverTLS, clientTLS := certificates(t)
	infos := make(chan credentials.AuthInfo, 1)
	server := startServer(t, servingOptions{
		inner: credentials.NewTLS(serverTLS),
		check: func(ctx context.Context) error {
			caller, _ := peer.FromContext(ctx)
			infos <- caller.AuthInfo
			return nil
		},
	})
	mux := backchannel.NewClient(credentials.NewTLS(clientTLS), backchannel.Services{},
		zap.NewNop(), backchannel.DefaultConfig())
	require.NoError(t, dialWith(t, server.address, mux).check(within(t)))
	info, ok := receive(t, infos).(backchannel.AuthInfo)
	require.True(t, ok)
	require.Equal(t, "tls", info.AuthType())
	require.Equal(t, credentials.PrivacyAndIntegrity, info.GetCommonAuthInfo().SecurityLevel)
}

// TestStreamTowardsClient opens a raw stream from within a handler, as a
// sidechannel does.
func TestStreamTowardsClient(t *testing.T) {
	t.Parallel()
	server := startServer(t, servingOptions{check: func(ctx context.Context) error {
		stream, err := backchannel.OpenStream(ctx)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(stream, "sidechannel"+"payload"); err != nil {
			return err
		}
		answer := make([]byte, 2)
		if _, err := io.ReadFull(stream, answer); err != nil {
			return err
		}
		if string(answer) != "ok" {
			return status.Error(codes.DataLoss, string(answer))
		}
		if _, err := stream.Read(answer); !errors.Is(err, io.EOF) {
			return status.Error(codes.DataLoss, "stream stays open after its handler")
		}
		return stream.Close()
	}})
	seen := make(chan string, 1)
	client := dial(t, server.address, backchannel.Services{Sidechannel: func(stream net.Conn) {
		payload := make([]byte, len("payload"))
		if _, err := io.ReadFull(stream, payload); err == nil {
			seen <- string(payload)
		}
		_, _ = io.WriteString(stream, "ok") // the server tells if it did not come
	}})
	require.NoError(t, client.check(within(t)))
	require.Equal(t, "payload", receive(t, seen))
}

// TestUnwantedStreams opens streams towards a client that offers nothing: they
// end, the connection stays.
func TestUnwantedStreams(t *testing.T) {
	t.Parallel()
	for _, head := range []string{"sidechannel", "PRI * HTTP/2.0\r\n\r\n", "something else", ""} {
		t.Run(head, func(t *testing.T) {
			t.Parallel()
			cfg := backchannel.DefaultConfig()
			cfg.HandshakeTimeout = tick
			server := startServer(t, servingOptions{check: func(ctx context.Context) error {
				stream, err := backchannel.OpenStream(ctx)
				if err != nil {
					return err
				}
				defer func() { _ = stream.Close() }()
				if _, err := io.WriteString(stream, head); err != nil {
					return err
				}
				_, err = stream.Read(make([]byte, 1))
				if !errors.Is(err, io.EOF) {
					return status.Error(codes.DataLoss, "expected the end")
				}
				return nil
			}})
			mux := backchannel.NewClient(
				insecure.NewCredentials(), backchannel.Services{}, zap.NewNop(), cfg)
			client := dialWith(t, server.address, mux)
			require.NoError(t, client.check(within(t)))
			require.NoError(t, client.check(within(t)))
		})
	}
}
