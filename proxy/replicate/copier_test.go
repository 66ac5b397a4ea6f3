package replicate_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"praefect/proxy/backend"
	"praefect/proxy/gitalypb"
	"praefect/proxy/replicate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nodeServer notes what it is asked for, and answers as told.
type nodeServer struct {
	gitalypb.UnimplementedRepositoryServiceServer
	gitalypb.UnimplementedObjectPoolServiceServer

	calls   []string
	servers map[string]map[string]string
	pool    string
	copyErr error
	linkErr error
}

func (s *nodeServer) ReplicateRepository(
	ctx context.Context, request *gitalypb.ReplicateRepositoryRequest,
) (*gitalypb.ReplicateRepositoryResponse, error) {
	s.calls = append(s.calls, "replicate "+request.GetRepository().GetRelativePath()+" from "+
		request.GetSource().GetStorageName())
	md, _ := metadata.FromIncomingContext(ctx)
	raw, err := base64.StdEncoding.DecodeString(md.Get("gitaly-servers")[0])
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &s.servers); err != nil {
		return nil, err
	}
	return &gitalypb.ReplicateRepositoryResponse{}, s.copyErr
}

func (s *nodeServer) RemoveRepository(
	context.Context, *gitalypb.RemoveRepositoryRequest,
) (*gitalypb.RemoveRepositoryResponse, error) {
	s.calls = append(s.calls, "remove")
	return &gitalypb.RemoveRepositoryResponse{}, s.copyErr
}

func (s *nodeServer) GetObjectPool(
	_ context.Context, request *gitalypb.GetObjectPoolRequest,
) (*gitalypb.GetObjectPoolResponse, error) {
	if s.pool == "" {
		return &gitalypb.GetObjectPoolResponse{}, nil
	}
	return &gitalypb.GetObjectPoolResponse{ObjectPool: &gitalypb.ObjectPool{
		Repository: &gitalypb.Repository{
			StorageName: request.GetRepository().GetStorageName(), RelativePath: s.pool,
		},
	}}, nil
}

func (s *nodeServer) DisconnectGitAlternates(
	context.Context, *gitalypb.DisconnectGitAlternatesRequest,
) (*gitalypb.DisconnectGitAlternatesResponse, error) {
	s.calls = append(s.calls, "disconnect")
	return &gitalypb.DisconnectGitAlternatesResponse{}, nil
}

func (s *nodeServer) LinkRepositoryToObjectPool(
	_ context.Context, request *gitalypb.LinkRepositoryToObjectPoolRequest,
) (*gitalypb.LinkRepositoryToObjectPoolResponse, error) {
	pool := request.GetObjectPool().GetRepository()
	s.calls = append(s.calls, "link "+pool.GetRelativePath()+" on "+pool.GetStorageName())
	return &gitalypb.LinkRepositoryToObjectPoolResponse{}, s.linkErr
}

// nodes connects to the servers "good" and "behind".
type nodes map[string]grpc.ClientConnInterface

func (n nodes) Conn(virtualStorage, storage string) (grpc.ClientConnInterface, bool) {
	conn, ok := n[storage]
	return conn, ok && virtualStorage == "default"
}

func (n nodes) Nodes() []backend.Node {
	return []backend.Node{
		{VirtualStorage: "default", Storage: "good", Address: "tcp://good:1", Token: "secret"},
		{VirtualStorage: "default", Storage: "behind", Address: "tcp://behind:1"},
	}
}

func serve(t *testing.T, s *nodeServer) grpc.ClientConnInterface {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	gitalypb.RegisterRepositoryServiceServer(server, s)
	gitalypb.RegisterObjectPoolServiceServer(server, s)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///node",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return listener.DialContext(ctx)
		}))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, conn.Close())
		server.Stop()
		require.NoError(t, <-done)
	})
	return conn
}

func TestCopy(t *testing.T) {
	t.Parallel()
	replicated := "replicate @cluster/r from good"
	for name, tc := range map[string]struct {
		good, behind nodeServer
		calls        []string
	}{
		"no pool":   {calls: []string{replicated}},
		"same pool": {nodeServer{pool: "p"}, nodeServer{pool: "p"}, []string{replicated}},
		"linked anew": {
			nodeServer{pool: "p"},
			nodeServer{},
			[]string{replicated, "link p on behind"},
		},
		"disconnected": {
			nodeServer{},
			nodeServer{pool: "p"},
			[]string{replicated, "disconnect"},
		},
		"linked to another": {
			nodeServer{pool: "p"},
			nodeServer{pool: "q"},
			[]string{replicated, "disconnect", "link p on behind"},
		},
		"kept apart by partitions": {
			nodeServer{pool: "p"},
			nodeServer{linkErr: status.Error(codes.InvalidArgument,
				"repositories are in different partitions")},
			[]string{replicated, "link p on behind"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			copier, err := replicate.New(nodes{
				"good": serve(t, &tc.good), "behind": serve(t, &tc.behind),
			})
			require.NoError(t, err)
			source := replicate.Replica{
				VirtualStorage: "default", Storage: "good", Path: "@cluster/r",
			}
			require.NoError(t, copier.Copy(t.Context(), source, "behind"))
			require.Empty(t, cmp.Diff(tc.calls, tc.behind.calls))
			require.Empty(t, tc.good.calls)
			require.Empty(t, cmp.Diff(map[string]map[string]string{
				"good": {"address": "tcp://good:1", "token": "secret"},
			}, tc.behind.servers))
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	missing := status.Error(codes.NotFound, "invalid source repository")
	behind := &nodeServer{copyErr: missing}
	copier, err := replicate.New(nodes{"good": serve(t, &nodeServer{}), "behind": serve(t, behind)})
	require.NoError(t, err)
	source := replicate.Replica{VirtualStorage: "default", Storage: "good", Path: "r"}

	require.ErrorIs(t, copier.Copy(t.Context(), source, "behind"), replicate.ErrSourceMissing)
	require.ErrorIs(t, copier.Copy(t.Context(), source, "nowhere"), replicate.ErrUnknownNode)

	source.Storage = "behind"
	require.NoError(t, copier.Remove(t.Context(), source), "absent counts as removed")
	behind.copyErr = status.Error(codes.Unavailable, "down")
	require.Equal(t, codes.Unavailable, status.Code(copier.Remove(t.Context(), source)))
	source.Storage = "nowhere"
	require.ErrorIs(t, copier.Remove(t.Context(), source), replicate.ErrUnknownNode)
}
