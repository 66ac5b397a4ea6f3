package proxy

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/coordinator"
	"praefect/proxy/backchannel"
	"praefect/proxy/backend"
	"praefect/proxy/learn"
	"praefect/proxy/relay"
	"praefect/proxy/sidechannel"
	"praefect/proxy/wire"
	"praefect/transaction"
	"praefect/transaction/registry"
)

// rule says which code an error becomes.
type rule struct {
	err  error
	code codes.Code
	// bare tells that the client gets the sentinel's text alone, because clients compare it.
	bare bool
}

// statusTable is the only place where errors become codes. The first rule that matches counts.
//
// Unavailable is for what goes away by itself, so that the same call may be tried again; Aborted
// for what the client has to begin anew; FailedPrecondition for what somebody has to change. None
// of them may be used once a write may be on a disk: that is Internal.
func statusTable() []rule {
	return slices.Concat(doubts(), requests(), decisions(), votes(), nodes(), connections())
}

// doubts come first: what is in doubt stays in doubt, whatever has caused it.
func doubts() []rule {
	return []rule{
		{err: coordinator.ErrOutcomeUnknown, code: codes.Internal},
		{err: registry.ErrOutcomeUnknown, code: codes.Internal},
		{err: registry.ErrTooFewCopies, code: codes.Internal},
		{err: ErrPrimaryLost, code: codes.Internal},
		{err: relay.ErrVotesBroken, code: codes.Internal},
	}
}

func requests() []rule {
	return []rule{
		{err: ErrUnknownMethod, code: codes.Unimplemented},
		{err: ErrPartition, code: codes.Unimplemented},
		{err: learn.ErrUnknown, code: codes.Unimplemented},
		{err: learn.ErrUnreachable, code: codes.Unavailable},
		{err: learn.ErrInvalidConfig, code: codes.Internal},
		{err: ErrNoMessage, code: codes.Internal, bare: true},
		{err: ErrRepositoryNotSet, code: codes.InvalidArgument, bare: true},
		{err: ErrStorageNotSet, code: codes.InvalidArgument, bare: true},
		{err: ErrPathNotSet, code: codes.InvalidArgument, bare: true},
		{err: ErrStorageNotFound, code: codes.InvalidArgument, bare: true},
		{err: ErrTargetStorageNotSet, code: codes.InvalidArgument, bare: true},
		{err: ErrAdditionalElsewhere, code: codes.InvalidArgument, bare: true},
		{err: ErrManyHints, code: codes.InvalidArgument, bare: true},
		{err: wire.ErrMalformed, code: codes.InvalidArgument},
		{err: wire.ErrAbsent, code: codes.InvalidArgument},
		{err: wire.ErrPath, code: codes.Internal},
		{err: relay.ErrRequestTooLarge, code: codes.ResourceExhausted},
		{err: relay.ErrCrowded, code: codes.Unavailable},
	}
}

func decisions() []rule {
	return []rule{
		{err: coordinator.ErrUnknownVirtualStorage, code: codes.InvalidArgument, bare: true},
		{err: coordinator.ErrRepositoryNotFound, code: codes.NotFound, bare: true},
		{err: coordinator.ErrAdditionalRepositoryNotFound, code: codes.NotFound, bare: true},
		{err: coordinator.ErrNoReplica, code: codes.FailedPrecondition},
		{err: coordinator.ErrUnknownStorage, code: codes.InvalidArgument},
		{err: coordinator.ErrReplicationFactor, code: codes.InvalidArgument},
		{err: coordinator.ErrRepositoryExists, code: codes.AlreadyExists, bare: true},
		{err: coordinator.ErrNoHealthyNode, code: codes.Unavailable},
		{err: coordinator.ErrNoCurrentReplica, code: codes.Unavailable},
		{err: coordinator.ErrNoPrimary, code: codes.Unavailable},
		{err: coordinator.ErrTooFewCopies, code: codes.Unavailable},
		{err: coordinator.ErrBusy, code: codes.Unavailable},
		{err: coordinator.ErrMetadataUnavailable, code: codes.Unavailable},
		{err: coordinator.ErrTurnTaken, code: codes.Unavailable},
		{err: coordinator.ErrLeaseLost, code: codes.Unavailable},
		{err: coordinator.ErrTimelineChanged, code: codes.Unavailable},
		{err: coordinator.ErrPrimaryUnreachable, code: codes.Unavailable},
		{err: coordinator.ErrPrimaryChanged, code: codes.Aborted},
		{err: coordinator.ErrCreationUndone, code: codes.Aborted},
		{err: coordinator.ErrSuperseded, code: codes.Aborted},
		{err: coordinator.ErrInvalidCluster, code: codes.Internal},
		{err: coordinator.ErrInvalidConfig, code: codes.Internal},
		{err: coordinator.ErrNoTurn, code: codes.Internal},
	}
}

// votes are the mistakes of the proxy or of nodes; clients do not vote.
func votes() []rule {
	return []rule{
		{err: transaction.ErrNoPrimary, code: codes.Internal},
		{err: transaction.ErrDuplicateVoter, code: codes.Internal},
		{err: transaction.ErrMinimumCopies, code: codes.Internal},
		{err: transaction.ErrUnknownGate, code: codes.Internal},
		{err: transaction.ErrUnknownVoter, code: codes.Internal},
		{err: transaction.ErrVotePending, code: codes.Internal},
		{err: registry.ErrNotFound, code: codes.NotFound},
		{err: registry.ErrInvalidConfig, code: codes.Internal},
	}
}

func nodes() []rule {
	return []rule{
		{err: relay.ErrDraining, code: codes.Unavailable},
		{err: relay.ErrPrimaryOverdue, code: codes.Aborted},
		{err: relay.ErrGivenUp, code: codes.Unavailable},
		{err: relay.ErrInvalidConfig, code: codes.Internal},
		{err: backend.ErrUnreachable, code: codes.Unavailable},
		{err: backend.ErrTimeout, code: codes.Unavailable},
		{err: backend.ErrNotServing, code: codes.Unavailable},
		{err: backend.ErrInconclusive, code: codes.Unavailable},
		{err: backend.ErrUnknownNode, code: codes.Internal},
		{err: backend.ErrDuplicateNode, code: codes.Internal},
		{err: ErrNoConnection, code: codes.Internal},
		{err: ErrInvalidConfig, code: codes.Internal},
		{err: ErrNotReady, code: codes.Unavailable},
	}
}

func connections() []rule {
	return []rule{
		{err: sidechannel.ErrNotOpened, code: codes.Internal},
		{err: sidechannel.ErrNoMetadata, code: codes.Internal},
		{err: sidechannel.ErrNoID, code: codes.InvalidArgument},
		{err: sidechannel.ErrInvalidFrame, code: codes.InvalidArgument},
		{err: sidechannel.ErrWriteClosed, code: codes.Internal},
		{err: backchannel.ErrNotMultiplexed, code: codes.FailedPrecondition},
		{err: backchannel.ErrNoPeer, code: codes.Internal},
		{err: backchannel.ErrClosed, code: codes.Unavailable},
	}
}

// statuses turns errors into statuses.
type statuses struct{ table []rule }

// of returns the status with which a call ends. When the client is gone, or its time is over,
// that is the code, and the text still says what happened. What carries a status already keeps
// code and details.
func (s statuses) of(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	carried, has := status.FromError(err)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, carried.Message())
	case ctx.Err() != nil:
		return status.Error(codes.Canceled, carried.Message())
	case has && carried.Code() != codes.Unknown:
		return carried.Err()
	case has:
		return status.Error(codes.Internal, carried.Message())
	}
	for _, rule := range s.table {
		if errors.Is(err, rule.err) {
			return status.Error(rule.code, rule.text(err))
		}
	}
	return status.Error(codes.Internal, err.Error())
}

// text is what the client reads.
func (r rule) text(err error) string {
	if r.bare {
		return r.err.Error()
	}
	return err.Error()
}
