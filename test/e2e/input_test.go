package e2e_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

// badCall is a request that must be refused with a certain status.
type badCall struct {
	name string
	do   func(ctx context.Context, conn *grpc.ClientConn) error
	code codes.Code
	text string
}

// exists asks the proxy itself, refExists a node through it, writeRef all nodes.
func refExists(storage, path string) func(context.Context, *grpc.ClientConn) error {
	return func(ctx context.Context, conn *grpc.ClientConn) error {
		request := &gitalypb.RefExistsRequest{Ref: []byte("refs/heads/main")}
		if storage != "" || path != "" {
			request.Repository = &gitalypb.Repository{StorageName: storage, RelativePath: path}
		}
		_, err := gitalypb.NewRefServiceClient(conn).RefExists(ctx, request)

		return err
	}
}

func writeRef(storage, path string) func(context.Context, *grpc.ClientConn) error {
	return func(ctx context.Context, conn *grpc.ClientConn) error {
		_, err := gitalypb.NewRepositoryServiceClient(conn).WriteRef(ctx,
			&gitalypb.WriteRefRequest{
				Repository: &gitalypb.Repository{StorageName: storage, RelativePath: path},
				Ref:        []byte("refs/heads/main"), Revision: []byte("main"),
			})

		return err
	}
}

func optimize(storage, path string) func(context.Context, *grpc.ClientConn) error {
	return func(ctx context.Context, conn *grpc.ClientConn) error {
		_, err := gitalypb.NewRepositoryServiceClient(conn).OptimizeRepository(ctx,
			&gitalypb.OptimizeRepositoryRequest{
				Repository: &gitalypb.Repository{StorageName: storage, RelativePath: path},
			})

		return err
	}
}

func unary(method string) func(context.Context, *grpc.ClientConn) error {
	return func(ctx context.Context, conn *grpc.ClientConn) error {
		return conn.Invoke(ctx, method, &emptypb.Empty{}, &emptypb.Empty{})
	}
}

// closedEarly ends a stream of the client before its first message.
func closedEarly(ctx context.Context, conn *grpc.ClientConn) error {
	stream, err := gitalypb.NewSmartHTTPServiceClient(conn).PostReceivePack(ctx)
	if err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	_, err = stream.Recv()

	return err
}

// tooLarge sends a first message of more than four MiB.
func tooLarge(ctx context.Context, conn *grpc.ClientConn) error {
	const size = 4<<20 + 1

	_, err := gitalypb.NewRefServiceClient(conn).RefExists(ctx, &gitalypb.RefExistsRequest{
		Repository: &gitalypb.Repository{StorageName: "default", RelativePath: "a.git"},
		Ref:        make([]byte, size),
	})

	return err
}

// createTwice creates a repository that exists.
func createTwice(ctx context.Context, conn *grpc.ClientConn) error {
	client := gitalypb.NewRepositoryServiceClient(conn)
	request := &gitalypb.CreateRepositoryRequest{
		Repository:    &gitalypb.Repository{StorageName: "default", RelativePath: "twice.git"},
		DefaultBranch: []byte("main"),
	}
	if _, err := client.CreateRepository(ctx, request); err != nil {
		return err
	}
	_, err := client.CreateRepository(ctx, request)

	return err
}

// vote casts a vote from outside.
func vote(ctx context.Context, conn *grpc.ClientConn) error {
	_, err := gitalypb.NewRefTransactionClient(conn).VoteTransaction(ctx,
		&gitalypb.VoteTransactionRequest{
			TransactionId: 1, Node: "gitaly-1", ReferenceUpdatesHash: make([]byte, 20),
		})

	return err
}

// TestBadInput sends what must be refused, and demands the codes and texts of the protocol.
//
// Requirements: T068
func TestBadInput(t *testing.T) {
	t.Parallel()

	r := startRig(t)

	for _, tc := range []badCall{
		{"no repository", refExists("", ""), codes.InvalidArgument, "repository not set"},
		{"no storage", refExists("", "a.git"), codes.InvalidArgument, "storage name not set"},
		{"no path", refExists("default", ""), codes.InvalidArgument, "repository path not set"},
		{
			"read in unknown storage", refExists("other", "a.git"),
			codes.InvalidArgument, "storage name not found",
		},
		{
			"write in unknown storage", writeRef("other", "a.git"),
			codes.InvalidArgument, "storage name not found",
		},
		{
			"read of unknown repository", refExists("default", "none.git"),
			codes.NotFound, "repository not found",
		},
		{
			"write to unknown repository", writeRef("default", "none.git"),
			codes.NotFound, "repository not found",
		},
		{
			"maintenance of unknown repository", optimize("default", "none.git"),
			codes.NotFound, "repository not found",
		},
		{
			"creation of what exists", createTwice, codes.AlreadyExists,
			"repository already exists",
		},
		{
			"unknown method", unary("/gitaly.RepositoryService/Frobnicate"),
			codes.Unimplemented, "Frobnicate",
		},
		{"unknown service", unary("/gitaly.NoService/Call"), codes.Unimplemented, "NoService"},
		{"message too large", tooLarge, codes.ResourceExhausted, "larger than max"},
		{"stream closed before its first message", closedEarly, codes.Internal, "EOF"},
		{"vote from outside", vote, codes.NotFound, "transaction not found: 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			requireStatus(t, tc.do(t.Context(), r.conn), tc.code, tc.text)
		})
	}
}

// TestAuthentication calls without the right token.
//
// Requirements: T018, T024, T026, T140
func TestAuthentication(t *testing.T) {
	t.Parallel()

	r := startRig(t)

	anonymous, err := grpc.NewClient(cluster.Target(r.Proxy().Address),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, anonymous.Close()) })
	wrong, err := cluster.Dial(r.Proxy().Address, "not the token")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, wrong.Close()) })

	calls := map[string]func(context.Context, *grpc.ClientConn) error{
		"relayed call":   refExists("default", "a.git"),
		"relayed stream": closedEarly,
		"unknown method": unary("/gitaly.NoService/Call"),
		"vote":           vote,
		"own service":    unary("/gitaly.ServerService/ServerInfo"),
	}
	for name, do := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			requireStatus(t, do(t.Context(), anonymous),
				codes.Unauthenticated, "authentication required")
			requireStatus(t, do(t.Context(), wrong),
				codes.PermissionDenied, "permission denied: wrong hmac signature")
		})
	}
	require.NoError(t, unary("/grpc.health.v1.Health/Check")(t.Context(), anonymous))
}

// requireStatus demands a code, and a text as a part of the message.
func requireStatus(t *testing.T, err error, code codes.Code, text string) {
	t.Helper()

	require.Error(t, err)
	require.Equal(t, code, status.Code(err), err)
	require.Contains(t, status.Convert(err).Message(), text)
}
