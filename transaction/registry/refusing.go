package registry

import (
	"context"

	"praefect/proxy/gitalypb"
)

// refusing is the RefTransaction service for those who are no nodes.
type refusing struct {
	gitalypb.UnimplementedRefTransactionServer
}

// Refusing returns the RefTransaction service of public listeners: it knows no transaction, since
// votes come over the connections that this process has made to the nodes.
func Refusing() gitalypb.RefTransactionServer { return refusing{} }

// VoteTransaction fails with NotFound.
func (refusing) VoteTransaction(
	_ context.Context, request *gitalypb.VoteTransactionRequest,
) (*gitalypb.VoteTransactionResponse, error) {
	return nil, notFound(request.GetTransactionId())
}

// StopTransaction fails with NotFound.
func (refusing) StopTransaction(
	_ context.Context, request *gitalypb.StopTransactionRequest,
) (*gitalypb.StopTransactionResponse, error) {
	return nil, notFound(request.GetTransactionId())
}
