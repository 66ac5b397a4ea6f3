package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/proxy/backchannel"
	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// votes is a coordinator that gives one answer to every vote and remembers what was voted.
type votes struct {
	gitalypb.UnimplementedRefTransactionServer
	answer gitalypb.VoteTransactionResponse_TransactionState

	mu   sync.Mutex
	cast []string
}

func (v *votes) VoteTransaction(
	_ context.Context, request *gitalypb.VoteTransactionRequest,
) (*gitalypb.VoteTransactionResponse, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cast = append(v.cast, fmt.Sprintf("%d %s %s",
		request.GetTransactionId(), request.GetNode(), request.GetPhase()))

	return &gitalypb.VoteTransactionResponse{State: v.answer}, nil
}

// startNullNode serves a null node and returns a multiplexed connection to it.
func startNullNode(t *testing.T, coordinator *votes) *grpc.ClientConn {
	t.Helper()

	free, err := cluster.FreeAddress(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serveNullNode(ctx, "tcp://"+free) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})

	client := backchannel.NewClient(insecure.NewCredentials(), backchannel.Services{
		Server: func() *grpc.Server {
			server := grpc.NewServer()
			gitalypb.RegisterRefTransactionServer(server, coordinator)

			return server
		},
	}, zap.NewNop(), backchannel.DefaultConfig())
	t.Cleanup(func() { require.NoError(t, client.Close()) })

	conn, err := grpc.NewClient("passthrough:///"+free, grpc.WithTransportCredentials(client),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })

	return conn
}

func TestNullNodeVotesTwice(t *testing.T) {
	t.Parallel()

	for _, tc := range []struct {
		answer gitalypb.VoteTransactionResponse_TransactionState
		code   codes.Code
		cast   []string
	}{
		{
			answer: gitalypb.VoteTransactionResponse_COMMIT, code: codes.OK,
			cast: []string{"7 null-1 PREPARED_PHASE", "7 null-1 COMMITTED_PHASE"},
		},
		{
			answer: gitalypb.VoteTransactionResponse_ABORT, code: codes.Aborted,
			cast: []string{"7 null-1 PREPARED_PHASE"},
		},
	} {
		t.Run(tc.answer.String(), func(t *testing.T) {
			t.Parallel()

			coordinator := &votes{answer: tc.answer}
			conn := startNullNode(t, coordinator)

			value := base64.StdEncoding.EncodeToString(
				[]byte(`{"id":7,"node":"null-1","primary":true}`))
			ctx := metadata.AppendToOutgoingContext(t.Context(),
				"gitaly-reference-transaction", value)
			_, err := gitalypb.NewRepositoryServiceClient(conn).CreateRepository(ctx,
				&gitalypb.CreateRepositoryRequest{})
			require.Equal(t, tc.code, status.Code(err), err)
			require.Equal(t, tc.cast, coordinator.cast)
		})
	}
}

func TestNullNodeWithoutTransaction(t *testing.T) {
	t.Parallel()

	coordinator := new(votes)
	conn := startNullNode(t, coordinator)
	e := &endpoint{
		storage: "null-1", conns: []*grpc.ClientConn{conn}, payload: make([]byte, chunkSize),
	}

	for _, work := range []struct {
		name string
		do   step
		size int64
	}{
		{"read", with(e, read), 0},
		{"write", with(e, write), 0},
		{"download", with(e, download), downloadSize},
		{"upload", with(e, upload), uploadSize},
	} {
		moved, err := work.do(t.Context(), 0, 0)
		require.NoError(t, err, work.name)
		assert.Equal(t, work.size, moved, work.name)
	}
	require.Empty(t, coordinator.cast)

	found, err := e.repositories(0).RepositoryExists(t.Context(),
		&gitalypb.RepositoryExistsRequest{Repository: e.repository(0)})
	require.NoError(t, err)
	require.True(t, found.GetExists())
}

func with(
	e *endpoint, do func(context.Context, *endpoint, int, int) (int64, error),
) step {
	return func(ctx context.Context, client, n int) (int64, error) {
		return do(ctx, e, client, n)
	}
}
