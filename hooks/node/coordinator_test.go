package node_test

import (
	"context"
	"encoding/hex"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/hooks"
	"praefect/proxy/gitalypb"
)

const (
	commit = gitalypb.VoteTransactionResponse_COMMIT
	abort  = gitalypb.VoteTransactionResponse_ABORT
	stop   = gitalypb.VoteTransactionResponse_STOP
)

type verdict = gitalypb.VoteTransactionResponse_TransactionState

// coordinator records the votes of a node and answers them.
type coordinator struct {
	gitalypb.UnimplementedRefTransactionServer

	mu     sync.Mutex // guards the fields below
	cast   []string
	decide func(ctx context.Context, n int, vote string) (verdict, error)
}

func newCoordinator() *coordinator {
	return &coordinator{decide: func(context.Context, int, string) (verdict, error) {
		return commit, nil
	}}
}

// VoteTransaction implements gitalypb.RefTransactionServer.
func (c *coordinator) VoteTransaction(
	ctx context.Context, request *gitalypb.VoteTransactionRequest,
) (*gitalypb.VoteTransactionResponse, error) {
	phase := strings.TrimSuffix(request.GetPhase().String(), "_PHASE")
	vote := phase + " " + hex.EncodeToString(request.GetReferenceUpdatesHash())
	if request.GetTransactionId() != 7 || request.GetNode() != storage ||
		request.GetRepository() != nil {
		vote = "wrong request: " + request.String()
	}

	c.mu.Lock()
	c.cast = append(c.cast, vote)
	n, decide := len(c.cast), c.decide
	c.mu.Unlock()

	state, err := decide(ctx, n, vote)

	return &gitalypb.VoteTransactionResponse{State: state}, err
}

// StopTransaction implements gitalypb.RefTransactionServer.
func (c *coordinator) StopTransaction(
	context.Context, *gitalypb.StopTransactionRequest,
) (*gitalypb.StopTransactionResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cast = append(c.cast, "STOP")

	return &gitalypb.StopTransactionResponse{}, nil
}

// answer sets how votes are answered; n counts them from 1.
func (c *coordinator) answer(decide func(context.Context, int, string) (verdict, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cast, c.decide = nil, decide
}

// verdictAt answers COMMIT, except for the n-th vote.
func (c *coordinator) verdictAt(at int, state verdict) {
	c.answer(func(_ context.Context, n int, _ string) (verdict, error) {
		if n == at {
			return state, nil
		}

		return commit, nil
	})
}

// require asserts which votes were cast since the last time.
func (c *coordinator) require(t *testing.T, want ...string) {
	t.Helper()

	c.mu.Lock()
	defer c.mu.Unlock()
	require.Equal(t, want, c.cast)
	c.cast = nil
}

// The lines that require compares with.

func preparing(hash hooks.Hash) string    { return "PREPARING " + hash.String() }
func prepared(hash hooks.Hash) string     { return "PREPARED " + hash.String() }
func committed(hash hooks.Hash) string    { return "COMMITTED " + hash.String() }
func synchronized(hash hooks.Hash) string { return "SYNCHRONIZED " + hash.String() }

func hookVote(name string) string { return synchronized(hooks.SynchronizeHook(name)) }

const final = "COMMITTED 0000000000000000000000000000000000000000"

// all are the three votes of a change that the node makes itself.
func all(hash hooks.Hash) []string {
	return []string{preparing(hash), prepared(hash), committed(hash)}
}
