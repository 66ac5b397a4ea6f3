package registry_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"praefect/proxy/gitalypb"
	"praefect/transaction"
	"praefect/transaction/registry"
)

func requireStatus(t *testing.T, code codes.Code, text string, err error) {
	t.Helper()
	require.Equal(t, code, status.Code(err))
	require.Equal(t, text, status.Convert(err).Message())
}

func TestRejectedVotes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		node   string
		change func(*gitalypb.VoteTransactionRequest)
		code   codes.Code
		text   string
		reason string
	}{
		"short hash": {
			"gitaly-1",
			func(r *gitalypb.VoteTransactionRequest) { r.ReferenceUpdatesHash = []byte("abc") },
			codes.InvalidArgument, "invalid reference update hash: invalid vote length 3", "hash",
		},
		"no hash": {
			"gitaly-1",
			func(r *gitalypb.VoteTransactionRequest) { r.ReferenceUpdatesHash = nil },
			codes.InvalidArgument, "invalid reference update hash: invalid vote length 0", "hash",
		},
		"unknown transaction": {
			"gitaly-1",
			func(r *gitalypb.VoteTransactionRequest) { r.TransactionId = 7 },
			codes.NotFound, "transaction not found: 7", "transaction",
		},
		"in the name of another": {
			"gitaly-1",
			func(r *gitalypb.VoteTransactionRequest) { r.Node = "gitaly-2" },
			codes.Internal, `invalid node for transaction: "gitaly-2"`, "node",
		},
		"no part of the transaction": {
			"gitaly-9", func(*gitalypb.VoteTransactionRequest) {},
			codes.Internal, `invalid node for transaction: "gitaly-9"`, "node",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := begin(t)
			r := request(b.live, tc.node, prepared, "refs")
			tc.change(r)
			_, err := b.registry.Service(transaction.Voter(tc.node)).
				VoteTransaction(t.Context(), r)
			requireStatus(t, tc.code, tc.text, err)
			require.InEpsilon(t, 1,
				b.value("gitaly_praefect_votes_rejected_total", "reason", tc.reason), 0)
			b.finish()
		})
	}
}

func TestSecondVoteWhileTheFirstWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		b.vote("gitaly-2", prepared, "refs")
		for _, other := range []*pending{
			b.vote("gitaly-2", committed, "refs"), b.vote("gitaly-2", prepared, "other"),
		} {
			requireStatus(t, codes.Internal, `node already cast a vote: "gitaly-2"`, other.err)
		}
		b.finish()
	})
}

func TestVoteCallThatEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		ctx, cancel := context.WithCancel(t.Context())
		vote := b.voteCtx(ctx, request(b.live, "gitaly-2", prepared, "refs"))
		cancel()
		<-vote.done
		requireStatus(t, codes.Canceled, "context canceled", vote.err)

		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		vote = b.voteCtx(ctx, request(b.live, "gitaly-3", prepared, "refs"))
		<-vote.done
		requireStatus(t, codes.DeadlineExceeded, "context deadline exceeded", vote.err)
		b.finish()
	})
}

func TestUnknownPhaseIsTakenAsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		b.require(commit, b.all(77, "refs")...)
		b.require(commit, b.all(-1, "refs")...)
		require.InEpsilon(t, 6, b.value("gitaly_praefect_votes_total",
			"phase", "unknown", "decision", "COMMIT"), 0)
		b.finish()
	})
}

func TestStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		vote := b.vote("gitaly-2", syncing, "synchronize pre-receive hook")
		r := &gitalypb.StopTransactionRequest{TransactionId: b.live.ID()}
		_, err := b.registry.Service("gitaly-3").StopTransaction(t.Context(), r)
		requireStatus(t, codes.Internal, `invalid node for transaction: "gitaly-3"`, err)
		b.requireWaiting(vote)

		primary := b.registry.Service("gitaly-1")
		for range 2 {
			_, err = primary.StopTransaction(t.Context(), r)
			require.NoError(t, err)
		}
		synctest.Wait()
		b.require(stop, vote)
		b.require(stop, b.vote("gitaly-3", syncing, "synchronize pre-receive hook"))
		require.True(t, b.finish().Stopped)

		_, err = primary.StopTransaction(t.Context(), r)
		require.Equal(t, codes.NotFound, status.Code(err))
	})
}

func TestRefusing(t *testing.T) {
	t.Parallel()
	service := registry.Refusing()
	_, err := service.VoteTransaction(t.Context(),
		&gitalypb.VoteTransactionRequest{TransactionId: 5})
	requireStatus(t, codes.NotFound, "transaction not found: 5", err)
	_, err = service.StopTransaction(t.Context(),
		&gitalypb.StopTransactionRequest{TransactionId: 6})
	requireStatus(t, codes.NotFound, "transaction not found: 6", err)
}

func TestHeader(t *testing.T) {
	t.Parallel()
	b := begin(t)
	for node, primary := range map[string]string{"gitaly-1": "true", "gitaly-2": "false"} {
		text, err := base64.StdEncoding.DecodeString(b.live.Header(transaction.Voter(node)))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf(`{"id":%d,"node":%q,"primary":%s}`,
			b.live.ID(), node, primary), string(text))
	}
	b.finish()
}

// TestOverTheWire casts votes through a real server, as nodes do.
func TestOverTheWire(t *testing.T) {
	t.Parallel()
	b := begin(t)
	clients := map[string]gitalypb.RefTransactionClient{}
	for _, node := range []string{"gitaly-1", "gitaly-2", "gitaly-3"} {
		clients[node] = serve(t, b.registry.Service(transaction.Voter(node)))
	}
	for _, phase := range []gitalypb.VoteTransactionRequest_Phase{
		preparing, prepared, committed,
	} {
		states := make(chan gitalypb.VoteTransactionResponse_TransactionState)
		failures := make(chan error)
		for node, client := range clients {
			b.answers.Go(func() {
				response, err := client.VoteTransaction(t.Context(),
					request(b.live, node, phase, "refs"))
				if err != nil {
					failures <- err
					return
				}
				states <- response.GetState()
			})
		}
		for range clients {
			select {
			case state := <-states:
				require.Equal(t, commit, state)
			case err := <-failures:
				require.NoError(t, err)
			}
		}
	}
	require.Equal(t, uint64(1), b.finish().Recorded)
	_, err := clients["gitaly-1"].VoteTransaction(t.Context(),
		request(b.live, "gitaly-1", prepared, "refs"))
	require.Equal(t, codes.NotFound, status.Code(err))
}

func serve(
	t *testing.T, service gitalypb.RefTransactionServer,
) gitalypb.RefTransactionClient {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	gitalypb.RegisterRefTransactionServer(server, service)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	connection, err := grpc.NewClient("passthrough:node",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return listener.DialContext(ctx)
		}))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, connection.Close())
		server.Stop()
		require.NoError(t, <-served)
	})
	return gitalypb.NewRefTransactionClient(connection)
}

func TestNewFails(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]registry.Config{
		"negative": {VoteTimeout: -time.Second},
		"swapped":  {GraceMin: time.Second, GraceMax: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := registry.New(prometheus.NewRegistry(), zap.NewNop(), config)
			require.ErrorIs(t, err, registry.ErrInvalidConfig)
		})
	}
	metrics := prometheus.NewRegistry()
	_, err := registry.New(metrics, zap.NewNop(), registry.Config{})
	require.NoError(t, err)
	_, err = registry.New(metrics, zap.NewNop(), registry.Config{})
	require.ErrorAs(t, err, &prometheus.AlreadyRegisteredError{})
}

func TestBeginFails(t *testing.T) {
	t.Parallel()
	b := newRegistry(t, registry.Config{})
	_, err := b.registry.Begin(t.Context(), registry.Options{
		Voting: transaction.Config{Primary: "p", MinimumCopies: 2}, Writer: b.writer,
	})
	require.ErrorIs(t, err, transaction.ErrMinimumCopies)
	require.Zero(t, b.value("gitaly_praefect_transactions_live"))
}
