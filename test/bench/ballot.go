package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/proxy/backchannel"
	"praefect/proxy/gitalypb"
)

// ballot is the transaction metadata of a call: whom to vote as, in which transaction.
type ballot struct {
	ID   uint64 `json:"id"`
	Node string `json:"node"`
}

// ballotFrom reads the transaction metadata; nil when the call is not part of a transaction.
func ballotFrom(ctx context.Context) (*ballot, error) {
	values := metadata.ValueFromIncomingContext(ctx, "gitaly-reference-transaction")
	if len(values) == 0 {
		return nil, nil //nolint:nilnil // Absence is an answer here, as for a map.
	}

	content, err := base64.StdEncoding.DecodeString(values[0])
	if err != nil {
		return nil, fmt.Errorf("decode transaction: %w", err)
	}

	own := new(ballot)
	if err := json.Unmarshal(content, own); err != nil {
		return nil, fmt.Errorf("unmarshal transaction: %w", err)
	}

	return own, nil
}

// cast votes PREPARED and COMMITTED on the same hash.
func (n *nullNode) cast(ctx context.Context, own *ballot) error {
	id, err := backchannel.PeerID(ctx)
	if err != nil {
		return err
	}
	conn, err := n.peers.Conn(id)
	if err != nil {
		return err
	}

	client := gitalypb.NewRefTransactionClient(conn)
	for _, phase := range []gitalypb.VoteTransactionRequest_Phase{
		gitalypb.VoteTransactionRequest_PREPARED_PHASE,
		gitalypb.VoteTransactionRequest_COMMITTED_PHASE,
	} {
		answer, err := client.VoteTransaction(ctx, &gitalypb.VoteTransactionRequest{
			TransactionId:        own.ID,
			Node:                 own.Node,
			ReferenceUpdatesHash: n.vote[:],
			Phase:                phase,
		})
		if err != nil {
			return err
		}
		if answer.GetState() != gitalypb.VoteTransactionResponse_COMMIT {
			return status.Errorf(codes.Aborted, "vote %s: %s", phase, answer.GetState())
		}
	}

	return nil
}
