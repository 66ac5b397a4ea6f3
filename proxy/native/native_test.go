package native_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"praefect/coordinator"
	"praefect/coordinator/memory"
	"praefect/coordinator/metadatatest"
	"praefect/proxy/backend"
	"praefect/proxy/gitalypb"
	"praefect/proxy/native"
	"praefect/proxy/replicate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	repoPath = "@hashed/aa/bb/one.git"
	poolPath = "@pools/ab/cd/" +
		"abcd000000000000000000000000000000000000000000000000000000000000.git"
)

// nodeServer is what the tests need of a node.
type nodeServer struct {
	gitalypb.UnimplementedServerServiceServer
	gitalypb.UnimplementedObjectPoolServiceServer
	gitalypb.UnimplementedRepositoryServiceServer
	name string
	pool string
	key  string
	// down says that it is there no more, gone that nothing is on its disk, silent that it does not
	// say so.
	down   bool
	gone   bool
	silent bool
}

func (n *nodeServer) RepositoryExists(
	ctx context.Context, _ *gitalypb.RepositoryExistsRequest,
) (*gitalypb.RepositoryExistsResponse, error) {
	if n.silent {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &gitalypb.RepositoryExistsResponse{Exists: !n.gone}, nil
}

func (n *nodeServer) CalculateChecksum(
	context.Context, *gitalypb.CalculateChecksumRequest,
) (*gitalypb.CalculateChecksumResponse, error) {
	return &gitalypb.CalculateChecksumResponse{Checksum: "checksum"}, nil
}

func (n *nodeServer) ServerInfo(
	context.Context, *gitalypb.ServerInfoRequest,
) (*gitalypb.ServerInfoResponse, error) {
	return &gitalypb.ServerInfoResponse{
		ServerVersion: "18.9", GitVersion: "2.39",
		StorageStatuses: []*gitalypb.ServerInfoResponse_StorageStatus{
			{StorageName: "other"}, {StorageName: n.name, Readable: true, Writeable: true},
		},
	}, nil
}

func (n *nodeServer) DiskStatistics(
	context.Context, *gitalypb.DiskStatisticsRequest,
) (*gitalypb.DiskStatisticsResponse, error) {
	return &gitalypb.DiskStatisticsResponse{
		StorageStatuses: []*gitalypb.DiskStatisticsResponse_StorageStatus{
			{StorageName: n.name, Available: 1, Used: 2},
		},
	}, nil
}

func (n *nodeServer) ServerSignature(
	context.Context, *gitalypb.ServerSignatureRequest,
) (*gitalypb.ServerSignatureResponse, error) {
	return &gitalypb.ServerSignatureResponse{PublicKey: []byte(n.key)}, nil
}

func (n *nodeServer) GetObjectPool(
	context.Context, *gitalypb.GetObjectPoolRequest,
) (*gitalypb.GetObjectPoolResponse, error) {
	if n.down {
		return nil, status.Error(codes.Unavailable, "going down")
	}
	if n.pool == "" {
		return &gitalypb.GetObjectPoolResponse{}, nil
	}
	return &gitalypb.GetObjectPoolResponse{ObjectPool: &gitalypb.ObjectPool{
		Repository: &gitalypb.Repository{StorageName: n.name, RelativePath: n.pool},
	}}, nil
}

// cluster is two nodes of one virtual storage, and the services in front of them.
type cluster struct {
	servers     map[string]*nodeServer
	conns       map[string]grpc.ClientConnInterface
	coordinator *coordinator.Coordinator
	store       *memory.Store
	alone       metadatatest.Alone
	removed     chan string
	readiness   map[string]func(context.Context) error
	client      grpc.ClientConnInterface
}

func (c *cluster) Healthy(coordinator.VirtualStorage, coordinator.Storage) bool { return true }

func (c *cluster) Conn(_, storage string) (grpc.ClientConnInterface, bool) {
	conn, ok := c.conns[storage]
	return conn, ok
}

func (c *cluster) Nodes() []backend.Node {
	return []backend.Node{
		{VirtualStorage: "default", Storage: "a"}, {VirtualStorage: "default", Storage: "b"},
	}
}

func (c *cluster) Remove(_ context.Context, replica replicate.Replica) error {
	c.removed <- replica.Storage + ":" + replica.Path
	return nil
}

func setup(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{
		servers:   map[string]*nodeServer{"a": {name: "a"}, "b": {name: "b"}},
		conns:     map[string]grpc.ClientConnInterface{},
		store:     memory.New(),
		removed:   make(chan string, 2),
		readiness: map[string]func(context.Context) error{},
	}
	for name, server := range c.servers {
		c.conns[name] = serve(t, func(s *grpc.Server) error {
			gitalypb.RegisterServerServiceServer(s, server)
			gitalypb.RegisterObjectPoolServiceServer(s, server)
			gitalypb.RegisterRepositoryServiceServer(s, server)
			return nil
		})
	}
	var err error
	c.alone = metadatatest.NewAlone(t, c.store)
	c.coordinator, err = coordinator.New(coordinator.Dependencies{
		Cluster: coordinator.Cluster{
			VirtualStorages: map[coordinator.VirtualStorage]coordinator.VirtualStorageConfig{
				"default": {Storages: []coordinator.Storage{"a", "b"}},
			},
		},
		Store: c.store, Health: c, Agreed: c, Lease: c.alone, Peers: c.alone,
		Registerer: prometheus.NewRegistry(),
	}, zaptest.NewLogger(t), coordinator.Config{})
	require.NoError(t, err)
	services := native.New(native.Dependencies{
		Directory: c.coordinator, Router: c.coordinator, Nodes: c, Disks: c,
		Operations: c.coordinator,
		Readiness:  c.readiness,
	}, zaptest.NewLogger(t))
	c.client = serve(t, func(s *grpc.Server) error { return services.Register(s) })
	return c
}

func serve(t *testing.T, register func(*grpc.Server) error) grpc.ClientConnInterface {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	require.NoError(t, register(server))
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///test",
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

// create puts a repository into the metadata.
func (c *cluster) create(t *testing.T, path string) coordinator.Repository {
	t.Helper()
	id := coordinator.RepositoryID(len(path))
	both := []coordinator.Storage{"a", "b"}
	incarnation, _ := c.alone.Incarnation()
	require.NoError(t, c.store.Create(t.Context(), coordinator.Creation{
		ID: id, Key: coordinator.Key{VirtualStorage: "default", RelativePath: path},
		ReplicaPath: coordinator.ReplicaPath(id, path), Primary: "a",
		Participants: both, Assigned: both, Incarnation: incarnation,
	}))
	require.NoError(t, c.store.Complete(t.Context(), id))
	repo, err := c.store.Load(t.Context(), id)
	require.NoError(t, err)
	return repo
}

func message(path string) *gitalypb.Repository {
	return &gitalypb.Repository{StorageName: "default", RelativePath: path}
}

func TestRemovedRepositoryIsGone(t *testing.T) {
	t.Parallel()
	c := setup(t)
	repo := c.create(t, repoPath)
	client := gitalypb.NewRepositoryServiceClient(c.client)
	exists := func() bool {
		answer, err := client.RepositoryExists(t.Context(),
			&gitalypb.RepositoryExistsRequest{Repository: message(repoPath)})
		require.NoError(t, err)
		return answer.GetExists()
	}
	require.True(t, exists())

	request := &gitalypb.RemoveRepositoryRequest{Repository: message(repoPath)}
	_, err := client.RemoveRepository(t.Context(), request)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"a:" + repo.ReplicaPath, "b:" + repo.ReplicaPath},
		[]string{<-c.removed, <-c.removed})
	require.False(t, exists())
	_, err = c.store.Load(t.Context(), repo.ID)
	require.ErrorIs(t, err, coordinator.ErrRepositoryNotFound, "nothing is left to the worker")

	_, err = client.RemoveRepository(t.Context(), request)
	require.Equal(t, codes.NotFound, status.Code(err))
	require.Equal(t, "repository does not exist", status.Convert(err).Message())
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	client := gitalypb.NewRepositoryServiceClient(setup(t).client)
	for text, repo := range map[string]*gitalypb.Repository{
		"repository not set":      nil,
		"storage name not set":    {RelativePath: repoPath},
		"repository path not set": {StorageName: "default"},
	} {
		_, err := client.RepositoryExists(t.Context(),
			&gitalypb.RepositoryExistsRequest{Repository: repo})
		require.Equal(t, codes.InvalidArgument, status.Code(err))
		require.Equal(t, text, status.Convert(err).Message())
	}
}

func TestPools(t *testing.T) {
	t.Parallel()
	c := setup(t)
	c.create(t, repoPath)
	pool := c.create(t, poolPath)
	client := gitalypb.NewObjectPoolServiceClient(c.client)
	for onDisk, shown := range map[string]string{pool.ReplicaPath: poolPath, "old.git": "old.git"} {
		c.servers["a"].pool, c.servers["b"].pool = onDisk, onDisk
		answer, err := client.GetObjectPool(t.Context(),
			&gitalypb.GetObjectPoolRequest{Repository: message(repoPath)})
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(message(shown), answer.GetObjectPool().GetRepository(),
			protocmp.Transform()))
	}

	remove := func(path string) error {
		_, err := client.DeleteObjectPool(t.Context(), &gitalypb.DeleteObjectPoolRequest{
			ObjectPool: &gitalypb.ObjectPool{Repository: message(path)},
		})
		return err
	}
	require.Equal(t, codes.InvalidArgument, status.Code(remove(repoPath)))
	require.NoError(t, remove(poolPath))
	require.NoError(t, remove(poolPath), "absent counts as deleted")
}

// TestPoolOfARepository asks another replica when one is not there, and tells a missing pool
// from a missing repository.
func TestPoolOfARepository(t *testing.T) {
	t.Parallel()
	c := setup(t)
	client := gitalypb.NewObjectPoolServiceClient(c.client)
	ask := func() (*gitalypb.GetObjectPoolResponse, error) {
		return client.GetObjectPool(t.Context(),
			&gitalypb.GetObjectPoolRequest{Repository: message(repoPath)})
	}
	_, err := ask()
	require.ErrorContains(t, err, "route RPC: ")
	require.ErrorContains(t, err, "repository not found")
	c.create(t, repoPath)
	c.servers["a"].down = true
	for range 5 {
		answer, err := ask()
		require.NoError(t, err)
		require.Nil(t, answer.GetObjectPool(), "it has none")
	}
	c.servers["b"].pool = coordinator.ReplicaPath(7, poolPath)
	_, err = ask()
	require.Equal(t, codes.Internal, status.Code(err))
	require.ErrorContains(t, err, "is not known")
	c.servers["b"].down = true
	_, err = ask()
	require.Equal(t, codes.Unavailable, status.Code(err))
}

// TestUnknownVirtualStorage is nothing to readers, and a mistake to those who remove.
func TestUnknownVirtualStorage(t *testing.T) {
	t.Parallel()
	c := setup(t)
	elsewhere := &gitalypb.Repository{StorageName: "other", RelativePath: poolPath}
	exists, err := gitalypb.NewRepositoryServiceClient(c.client).RepositoryExists(t.Context(),
		&gitalypb.RepositoryExistsRequest{Repository: elsewhere})
	require.NoError(t, err)
	require.False(t, exists.GetExists())
	walk, err := gitalypb.NewInternalGitalyClient(c.client).WalkRepos(t.Context(),
		&gitalypb.WalkReposRequest{StorageName: "other"})
	require.NoError(t, err)
	_, err = walk.Recv()
	require.ErrorIs(t, err, io.EOF)

	_, err = gitalypb.NewRepositoryServiceClient(c.client).RemoveRepository(t.Context(),
		&gitalypb.RemoveRepositoryRequest{Repository: elsewhere})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.Equal(t, "storage name not found", status.Convert(err).Message())
	_, err = gitalypb.NewObjectPoolServiceClient(c.client).DeleteObjectPool(t.Context(),
		&gitalypb.DeleteObjectPoolRequest{
			ObjectPool: &gitalypb.ObjectPool{Repository: elsewhere},
		})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.Equal(t, "storage name not found", status.Convert(err).Message())
}

func TestWalk(t *testing.T) {
	t.Parallel()
	c := setup(t)
	c.create(t, repoPath)
	c.create(t, poolPath)
	client := gitalypb.NewInternalGitalyClient(c.client)
	stream, err := client.WalkRepos(t.Context(), &gitalypb.WalkReposRequest{StorageName: "default"})
	require.NoError(t, err)
	for _, path := range []string{repoPath, poolPath} {
		answer, err := stream.Recv()
		require.NoError(t, err)
		require.Equal(t, path, answer.GetRelativePath())
	}
	_, err = stream.Recv()
	require.ErrorIs(t, err, io.EOF)
}

// Requirements: T099
func TestServerInfo(t *testing.T) {
	t.Parallel()
	c := setup(t)
	answer, err := gitalypb.NewServerServiceClient(c.client).ServerInfo(t.Context(),
		&gitalypb.ServerInfoRequest{})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(&gitalypb.ServerInfoResponse{
		ServerVersion: "18.9", GitVersion: "2.39",
		StorageStatuses: []*gitalypb.ServerInfoResponse_StorageStatus{{
			StorageName: "default", Readable: true, Writeable: true, ReplicationFactor: 2,
			FilesystemId: "d9f04423-6b13-5949-9ffa-c06279e0796e",
		}},
	}, answer, protocmp.Transform()))
}

func TestServers(t *testing.T) {
	t.Parallel()
	c := setup(t)
	client := gitalypb.NewServerServiceClient(c.client)
	disks, err := client.DiskStatistics(t.Context(), &gitalypb.DiskStatisticsRequest{})
	require.NoError(t, err)
	require.Len(t, disks.GetStorageStatuses(), 2)

	_, err = client.ServerSignature(t.Context(), &gitalypb.ServerSignatureRequest{})
	require.NoError(t, err)
	c.servers["b"].key = "another"
	_, err = client.ServerSignature(t.Context(), &gitalypb.ServerSignatureRequest{})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	c := setup(t)
	client := gitalypb.NewServerServiceClient(c.client)
	answer, err := client.ReadinessCheck(t.Context(), &gitalypb.ReadinessCheckRequest{})
	require.NoError(t, err)
	require.NotNil(t, answer.GetOkResponse())

	c.readiness["hangs"] = func(ctx context.Context) error {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	c.readiness["fails"] = func(context.Context) error { return errors.New("no disk") }
	answer, err = client.ReadinessCheck(t.Context(),
		&gitalypb.ReadinessCheckRequest{Timeout: durationpb.New(10 * time.Millisecond)})
	require.NoError(t, err)
	failed := answer.GetFailureResponse().GetFailedChecks()
	require.Len(t, failed, 2)
	require.Equal(t, "fails", failed[0].GetName())
	require.Equal(t, "no disk", failed[0].GetErrorMessage())
	require.Equal(t, "hangs", failed[1].GetName())
}
