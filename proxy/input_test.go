package proxy_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"praefect/proxy/gitalypb"
)

func repository(storage, path string) *gitalypb.Repository {
	return &gitalypb.Repository{StorageName: storage, RelativePath: path}
}

// request is a unary call with a message that need not be one of the method.
func request(method string, message proto.Message) func(context.Context, *grpc.ClientConn) error {
	return func(ctx context.Context, conn *grpc.ClientConn) error {
		return conn.Invoke(ctx, method, message, &emptypb.Empty{})
	}
}

// badInput is a request that is refused.
type badInput struct {
	method  string
	message proto.Message
	code    codes.Code
	text    string
}

func exists(storage, path string) proto.Message {
	return &gitalypb.RefExistsRequest{Repository: repository(storage, path)}
}

func write(storage, path string) proto.Message {
	return &gitalypb.WriteRefRequest{Repository: repository(storage, path)}
}

func TestBadRepository(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.refuses(t, map[string]badInput{
		"no message": {
			refExists, &gitalypb.RefExistsRequest{}, codes.InvalidArgument, "repository not set",
		},
		"no repository": {
			refExists, exists("", ""), codes.InvalidArgument, "repository not set",
		},
		"no storage": {
			refExists, exists("", "a"), codes.InvalidArgument, "storage name not set",
		},
		"no path": {
			refExists, exists(virtualStorage, ""), codes.InvalidArgument,
			"repository path not set",
		},
		"unknown storage of a read": {
			refExists, exists("other", "a"), codes.InvalidArgument, "storage name not found",
		},
		"unknown storage of a write": {
			writeRef, write("other", "a"), codes.InvalidArgument, "storage name not found",
		},
		"unknown storage of a creation": {
			"/gitaly.RepositoryService/CreateRepository",
			&gitalypb.CreateRepositoryRequest{Repository: repository("other", "a")},
			codes.InvalidArgument, "storage name not found",
		},
		"unknown repository of a read": {
			refExists, exists(virtualStorage, "none"), codes.NotFound, "repository not found",
		},
		"unknown repository of a write": {
			writeRef, write(virtualStorage, "none"), codes.NotFound, "repository not found",
		},
		"unknown repository of maintenance": {
			"/gitaly.RepositoryService/OptimizeRepository",
			&gitalypb.OptimizeRepositoryRequest{Repository: repository(virtualStorage, "none")},
			codes.NotFound, "repository not found",
		},
		"unknown additional repository": {
			"/gitaly.ObjectPoolService/LinkRepositoryToObjectPool",
			&gitalypb.LinkRepositoryToObjectPoolRequest{
				Repository: target(),
				ObjectPool: &gitalypb.ObjectPool{Repository: repository(virtualStorage, "none")},
			},
			codes.NotFound, "additional repository not found",
		},
		"additional repository elsewhere": {
			"/gitaly.ObjectPoolService/LinkRepositoryToObjectPool",
			&gitalypb.LinkRepositoryToObjectPoolRequest{
				Repository: target(),
				ObjectPool: &gitalypb.ObjectPool{Repository: repository("other", "none")},
			},
			codes.InvalidArgument, "resolving additional repository on different storage than " +
				"target repository is not supported",
		},
	})
}

func TestBadAddress(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.refuses(t, map[string]badInput{
		"repository that exists": {
			"/gitaly.RepositoryService/CreateRepository",
			&gitalypb.CreateRepositoryRequest{Repository: target()},
			codes.AlreadyExists, "repository already exists",
		},
		"no storage for a call about one": {
			"/gitaly.RemoteService/FindRemoteRepository", &gitalypb.FindRemoteRepositoryRequest{},
			codes.InvalidArgument, "storage scoped: target storage field not found",
		},
		"unknown storage for a call about one": {
			"/gitaly.RemoteService/FindRemoteRepository",
			&gitalypb.FindRemoteRepositoryRequest{StorageName: "other"},
			codes.InvalidArgument, "virtual storage does not exist",
		},
		"write to a storage that the message cannot name": {
			"/gitaly.RaftService/SendMessage", &gitalypb.RaftMessageRequest{ClusterId: "a"},
			codes.InvalidArgument, "storage scoped: target storage field not found",
		},
		"partition": {
			"/gitaly.PartitionService/BackupPartition",
			&gitalypb.BackupPartitionRequest{StorageName: virtualStorage},
			codes.Unimplemented, "partitions belong to single nodes, ask one of them: " +
				"/gitaly.PartitionService/BackupPartition",
		},
		"end of a vote from a client": {
			"/gitaly.RefTransaction/StopTransaction",
			&gitalypb.StopTransactionRequest{TransactionId: 1}, codes.NotFound,
			"transaction not found: 1",
		},
		"unknown method": {
			"/gitaly.RefService/Nonsense", exists("a", "b"), codes.Unimplemented,
			"unknown method: /gitaly.RefService/Nonsense",
		},
		"unknown service": {
			"/nonsense.Service/Method", exists("a", "b"), codes.Unimplemented,
			"unknown method: /nonsense.Service/Method",
		},
		"vote from a client": {
			"/gitaly.RefTransaction/VoteTransaction",
			&gitalypb.VoteTransactionRequest{TransactionId: 1}, codes.NotFound,
			"transaction not found: 1",
		},
		"message too large": {
			refExists, &gitalypb.RefExistsRequest{Ref: make([]byte, 4<<20)},
			codes.ResourceExhausted, "grpc: received message larger than max (4194309 vs. 4194304)",
		},
	})
}

// refuses asserts that requests are refused as they should.
func (c *cluster) refuses(t *testing.T, tests map[string]badInput) {
	t.Helper()
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := request(tc.method, tc.message)(t.Context(), c.client)
			require.Equal(t, tc.code, status.Code(err), "%v", err)
			require.Equal(t, tc.text, status.Convert(err).Message())
		})
	}
}

func TestMalformedMessage(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	err := c.client.Invoke(t.Context(), refExists, &raw{[]byte{0x0a, 0x7f, 1}}, &raw{},
		grpc.ForceCodecV2(rawCodec{}))
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.ErrorContains(t, err, "malformed message at offset 1")
}

func TestStreamWithoutMessage(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	stream, err := gitalypb.NewSmartHTTPServiceClient(c.client).PostReceivePack(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.CloseSend())
	_, err = stream.Recv()
	require.Equal(t, codes.Internal, status.Code(err))
	require.Equal(t, "EOF", status.Convert(err).Message())
}

func TestManyHints(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(),
		"gitaly-partitioning-hint", "a", "gitaly-partitioning-hint", "b")
	var trailer metadata.MD
	_, err := gitalypb.NewRepositoryServiceClient(c.client).CreateRepository(ctx,
		&gitalypb.CreateRepositoryRequest{Repository: repository(virtualStorage, "new")},
		grpc.Trailer(&trailer))
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.Equal(t, []string{"none"}, trailer.Get("praefect-outcome"))
}

func TestWritesThatWereNotBegunTellSo(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	var trailer metadata.MD
	_, err := gitalypb.NewRepositoryServiceClient(c.client).WriteRef(t.Context(),
		&gitalypb.WriteRefRequest{Repository: repository(virtualStorage, "none")},
		grpc.Trailer(&trailer))
	require.Equal(t, codes.NotFound, status.Code(err))
	require.Equal(t, []string{"none"}, trailer.Get("praefect-outcome"))
}

func TestRequestThatIsTooLargeToHoldBack(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	stream, err := gitalypb.NewRepositoryServiceClient(c.client).SetCustomHooks(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&gitalypb.SetCustomHooksRequest{Repository: target()}))
	for err == nil {
		err = stream.Send(&gitalypb.SetCustomHooksRequest{Data: make([]byte, 2<<20)})
	}
	_, err = stream.CloseAndRecv()
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.True(t, strings.HasPrefix(status.Convert(err).Message(), "request is too large"))
}
