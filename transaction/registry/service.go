package registry

import (
	"context"
	"errors"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/proxy/gitalypb"
	"praefect/transaction"
)

// service is the RefTransaction service as one node sees it.
type service struct {
	gitalypb.UnimplementedRefTransactionServer
	registry *Registry
	node     transaction.Voter
}

// Service returns the RefTransaction service for the connection to the given node. A vote in the
// name of another node is rejected: a node is who the dial says it is.
func (r *Registry) Service(node transaction.Voter) gitalypb.RefTransactionServer {
	return &service{registry: r, node: node}
}

// VoteTransaction waits until the vote is decided.
func (s *service) VoteTransaction(
	ctx context.Context, request *gitalypb.VoteTransactionRequest,
) (*gitalypb.VoteTransactionResponse, error) {
	hash := request.GetReferenceUpdatesHash()
	if len(hash) != transaction.VoteSize {
		s.registry.metrics.reject("hash")
		return nil, status.Errorf(codes.InvalidArgument,
			"invalid reference update hash: invalid vote length %d", len(hash))
	}
	l, err := s.live(request.GetTransactionId())
	if err != nil {
		return nil, err
	}
	b := ballot{
		voter: transaction.Voter(request.GetNode()), phase: phaseOf(request.GetPhase()),
		vote: transaction.Vote(hash),
	}
	if b.voter != s.node {
		return nil, s.impostor(b.voter)
	}
	decision, err := l.cast(ctx, b)
	if err != nil {
		return nil, s.refuse(b, err)
	}
	if log := s.registry.log.Check(zap.DebugLevel, "vote decided"); log != nil {
		log.Write(zap.Uint64("transaction_id", l.id), zap.String("node", string(s.node)),
			zap.Stringer("phase", b.phase), zap.Stringer("vote", b.vote),
			zap.Stringer("decision", decision))
	}
	return &gitalypb.VoteTransactionResponse{State: stateOf(decision)}, nil
}

// StopTransaction ends the transaction gracefully. Only the primary runs hooks, so only it may.
func (s *service) StopTransaction(
	_ context.Context, request *gitalypb.StopTransactionRequest,
) (*gitalypb.StopTransactionResponse, error) {
	l, err := s.live(request.GetTransactionId())
	if err != nil {
		return nil, err
	}
	if s.node != l.seats[0].voter {
		return nil, s.impostor(s.node)
	}
	l.step(l.tx.Stop)
	return &gitalypb.StopTransactionResponse{}, nil
}

func (s *service) live(id uint64) (*Live, error) {
	l, err := s.registry.find(id)
	if err != nil {
		s.registry.metrics.reject("transaction")
		return nil, notFound(id)
	}
	return l, nil
}

func (s *service) impostor(claimed transaction.Voter) error {
	s.registry.metrics.reject("node")
	s.registry.log.Warn("vote of another node rejected", zap.String("node", string(s.node)),
		zap.String("claimed", string(claimed)))
	return status.Errorf(codes.Internal, "invalid node for transaction: %q", claimed)
}

// refuse puts the errors of a vote in the words that nodes know.
func (s *service) refuse(b ballot, err error) error {
	switch {
	case errors.Is(err, transaction.ErrUnknownVoter):
		return s.impostor(b.voter)
	case errors.Is(err, transaction.ErrVotePending):
		s.registry.metrics.reject("pending")
		return status.Errorf(codes.Internal, "node already cast a vote: %q", b.voter)
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, context.Canceled.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, context.DeadlineExceeded.Error())
	}
	return status.Error(codes.Internal, err.Error())
}

func notFound(id uint64) error {
	return status.Errorf(codes.NotFound, "transaction not found: %d", id)
}

// phaseOf takes over a phase; one we do not know is Unknown.
func phaseOf(p gitalypb.VoteTransactionRequest_Phase) transaction.Phase {
	if p < 0 || p > gitalypb.VoteTransactionRequest_PREPARING_PHASE {
		return transaction.Unknown
	}
	return transaction.Phase(p)
}

func stateOf(d transaction.Decision) gitalypb.VoteTransactionResponse_TransactionState {
	switch d {
	case transaction.Commit:
		return gitalypb.VoteTransactionResponse_COMMIT
	case transaction.Stop:
		return gitalypb.VoteTransactionResponse_STOP
	case transaction.Abort:
	}
	return gitalypb.VoteTransactionResponse_ABORT
}
