package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"praefect/hooks"
	"praefect/proxy/backchannel"
	"praefect/proxy/gitalypb"
)

// participation is a call's part in a transaction. Its Voter is never nil; without a transaction
// every vote succeeds.
type participation struct {
	hooks.Voter
	transaction *hooks.Transaction
}

// participate finds out whether a call is voted on.
func (n *Node) participate(ctx context.Context) (participation, error) {
	values := metadata.ValueFromIncomingContext(ctx, hooks.TransactionMetadata)
	if len(values) == 0 {
		return participation{Voter: bystander{}}, nil
	}

	transaction, err := hooks.ParseTransaction(values[0])
	if err != nil {
		return participation{}, err
	}
	// A plain connection has no way back. That is an error only when somebody votes.
	transaction.BackchannelID, err = backchannel.PeerID(ctx)
	if err != nil && !errors.Is(err, backchannel.ErrNotMultiplexed) {
		return participation{}, fmt.Errorf("identify caller: %w", err)
	}

	return participation{
		transaction: &transaction,
		Voter: &voter{
			peers: n.peers, transaction: transaction, timeout: n.cfg.VoteTimeout,
			log: n.log.With(
				zap.Uint64("transaction_id", transaction.ID), zap.String("node", transaction.Node)),
		},
	}, nil
}

// bystander takes part in no transaction.
type bystander struct{}

// Vote implements hooks.Voter.
func (bystander) Vote(context.Context, hooks.Phase, hooks.Hash) error { return nil }

// Stop implements hooks.Voter.
func (bystander) Stop(context.Context) error { return nil }

// peers finds the way back to a caller.
type peers interface {
	Conn(id uint64) (grpc.ClientConnInterface, error)
}

// voter casts votes over the connection by which the call came in.
type voter struct {
	peers       peers
	transaction hooks.Transaction
	timeout     time.Duration
	log         *zap.Logger
}

// Vote implements hooks.Voter.
func (v *voter) Vote(ctx context.Context, phase hooks.Phase, hash hooks.Hash) error {
	client, err := v.client()
	if err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	response, err := client.VoteTransaction(ctx, &gitalypb.VoteTransactionRequest{
		TransactionId:        v.transaction.ID,
		Node:                 v.transaction.Node,
		ReferenceUpdatesHash: hash[:],
		Phase:                gitalypb.VoteTransactionRequest_Phase(phase),
	})
	if err == nil {
		err = verdict(response.GetState())
	}
	v.log.Debug("vote", zap.Stringer("phase", phase), zap.Stringer("hash", hash), zap.Error(err))

	return err
}

func verdict(state gitalypb.VoteTransactionResponse_TransactionState) error {
	switch state {
	case gitalypb.VoteTransactionResponse_COMMIT:
		return nil
	case gitalypb.VoteTransactionResponse_ABORT:
		return hooks.ErrAborted
	case gitalypb.VoteTransactionResponse_STOP:
		return hooks.ErrStopped
	default:
		return fmt.Errorf("%w: %d", hooks.ErrUnknownState, state)
	}
}

// Stop implements hooks.Voter.
func (v *voter) Stop(ctx context.Context) error {
	client, err := v.client()
	if err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	_, err = client.StopTransaction(ctx, &gitalypb.StopTransactionRequest{
		TransactionId: v.transaction.ID,
	})
	v.log.Debug("transaction stopped", zap.Error(err))

	return err
}

func (v *voter) client() (gitalypb.RefTransactionClient, error) {
	conn, err := v.peers.Conn(v.transaction.BackchannelID)
	if err != nil {
		return nil, fmt.Errorf("get backchannel: %w", err)
	}

	return gitalypb.NewRefTransactionClient(conn), nil
}

// memory is a voter that remembers why votes of hooks failed: Git only says that a hook refused.
type memory struct {
	hooks.Voter

	mu  sync.Mutex // guards the field below
	err error
}

// Vote implements hooks.Voter.
func (m *memory) Vote(ctx context.Context, phase hooks.Phase, hash hooks.Hash) error {
	err := m.Voter.Vote(ctx, phase, hash)
	if err != nil && phase != hooks.Committed { // Git has committed then, whatever the verdict.
		m.mu.Lock()
		defer m.mu.Unlock()
		m.err = err
	}

	return err
}

// refusal returns why the last vote that failed did.
func (m *memory) refusal() error {
	m.mu.Lock()
	defer m.mu.Unlock()

	return m.err
}
