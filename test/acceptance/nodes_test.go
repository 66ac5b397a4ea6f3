package acceptance_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/proxy/certificate/authority"
	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

// outlast tries until something succeeds; a try takes at most some seconds.
func outlast(t *testing.T, what func(ctx context.Context) error) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.NoError(c, what(ctx))
	}, wait, tick)
}

// begin starts a node that was killed.
func begin(t *testing.T, node *cluster.Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	require.NoError(t, node.Start(ctx))
}

// TestT004FourthNode adds a node to three: new repositories have a replica there.
func TestT004FourthNode(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{Outside: []string{"gitaly-4"}})
	restart(t, c.Proxy(), func(text string) string {
		return text + fmt.Sprintf("[[virtual_storage.node]]\nstorage = \"gitaly-4\"\n"+
			"address = %q\ntoken = %q\n", c.Outside()[0].Address, c.Token())
	})
	conn := dialled(t, c, c.Proxy().Address)
	repository := create(t, conn, "four.git")
	require.NoError(t, write(t.Context(), conn, repository, "main"))
	awaitCurrent(t, conn, repository, 4)
	path := recorded(t.Context(), t, conn, repository).GetReplicaPath()
	require.DirExists(t, c.Outside()[0].Path(path))
}

// TestT025WrongTokenOfANode presents a token to the only node that it does not take: clients are
// told so, although the node is well.
//
// Requirements: T024
func TestT025WrongTokenOfANode(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{Storages: []string{"gitaly-1"}})
	restart(t, c.Proxy(), func(text string) string {
		before, after, _ := strings.Cut(text, "[[virtual_storage.node]]")
		return before + "[[virtual_storage.node]]" + set(after, "token", "wrong")
	})
	conn := dialled(t, c, c.Proxy().Address)
	_, err := gitalypb.NewRepositoryServiceClient(conn).CreateRepository(t.Context(),
		&gitalypb.CreateRepositoryRequest{Repository: &gitalypb.Repository{
			StorageName: "default", RelativePath: "refused.git",
		}})
	require.Equal(t, codes.PermissionDenied, status.Code(err), err)
	require.Contains(t, status.Convert(err).Message(), "permission denied")
	result := praefect(t, nil, "-config", c.Proxy().ConfigFile, "dial-nodes")
	require.Equal(t, 1, result.code)
	require.Contains(t, result.stdout, "SUCCESS: node is healthy!")
	require.Contains(t, result.stdout, "ERROR: failed to receive state from the remote: ")
}

// crowded is a node with more storages than anybody has asked for.
type crowded struct {
	gitalypb.UnimplementedServerServiceServer
}

func (crowded) ServerInfo(
	context.Context, *gitalypb.ServerInfoRequest,
) (*gitalypb.ServerInfoResponse, error) {
	answer := &gitalypb.ServerInfoResponse{}
	for number := range 3 {
		answer.StorageStatuses = append(answer.StorageStatuses,
			&gitalypb.ServerInfoResponse_StorageStatus{
				StorageName: fmt.Sprintf("gitaly-%d", number+1), Readable: true, Writeable: true,
			})
	}

	return answer, nil
}

// TestT077MoreStoragesThanConfigured has all nodes share one configuration with all storages.
//
// Requirements: T076
func TestT077MoreStoragesThanConfigured(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	gitalypb.RegisterServerServiceServer(server, crowded{})
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
	})
	address := "tcp://" + listener.Addr().String()
	text := "listen_addr = \"127.0.0.1:0\"\n[logging]\nformat = \"json\"\n"
	text += "[[virtual_storage]]\nname = \"default\"\n"
	for number := range 2 {
		text += fmt.Sprintf("[[virtual_storage.node]]\nstorage = \"gitaly-%d\"\naddress = %q\n",
			number+1, address)
	}
	file := written(t, text)
	result := praefect(t, nil, "-config", file, "dial-nodes")
	require.Zero(t, result.code, result)
	require.Contains(t, result.stdout, "SUCCESS: node configuration is consistent!")

	// What a node does not have is told in a line each, in order.
	missing := text
	for _, storage := range []string{"gitaly-9", "gitaly-8"} {
		missing += fmt.Sprintf("[[virtual_storage.node]]\nstorage = %q\naddress = %q\n",
			storage, address)
	}
	result = praefect(t, nil, "-config", written(t, missing), "dial-nodes")
	require.Equal(t, 1, result.code)
	prefix := "[" + address + "]: ERROR: "
	require.Contains(t, result.stdout,
		prefix+"configured storage was not reported by remote: \"gitaly-8\"\n"+
			prefix+"configured storage was not reported by remote: \"gitaly-9\"\n"+
			prefix+"consistency check failed\n")

	// Two storages at one address are no two copies: the server says so, and starts.
	logged := praefect(t, []string{"PGHOST=/nonexistent"}, "-config", file)
	require.Contains(t, logged.stdout, "more than one backend node is hosted at same address")
	require.Contains(t, logged.stdout, address)
	require.Contains(t, logged.stdout, "establishing database connection")
}

// TestT081NothingInTheClear has a proxy that listens with TLS only: nobody else reaches it,
// commands find it, and replicas are repaired as ever.
//
// Requirements: T108
func TestT081NothingInTheClear(t *testing.T) {
	t.Parallel()
	own, err := authority.New("acceptance")
	require.NoError(t, err)
	files, err := own.Write(t.TempDir(), "127.0.0.1")
	require.NoError(t, err)
	c := start(t, cluster.Config{
		Extra: fmt.Sprintf("[tls]\ncertificate_path = %q\nkey_path = %q\n",
			files.Certificate, files.Key),
	})
	proxy := c.Proxy()
	require.NoError(t, proxy.Process().Terminate(t.Context()))
	edit(t, proxy, func(text string) string {
		return strings.Replace(set(text, "socket_path", ""),
			"\nlisten_addr", "\ntls_listen_addr", 1)
	})
	require.NoError(t, proxy.Launch())
	conn, err := cluster.Dial(proxy.Address, c.Token(), grpc.WithTransportCredentials(
		credentials.NewClientTLSFromCert(own.Pool(), "")))
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // The test is over.
	var repository *gitalypb.Repository
	outlast(t, func(ctx context.Context) error {
		_, err := gitalypb.NewServerServiceClient(conn).ServerInfo(ctx,
			&gitalypb.ServerInfoRequest{})
		return err
	})
	repository = create(t, conn, "sealed.git")

	require.Error(t, exists(t.Context(), dialled(t, c, proxy.Address), repository))
	require.NoFileExists(t, strings.TrimPrefix(proxy.Socket, "unix:"))
	found := praefect(t, []string{"SSL_CERT_FILE=" + files.Authority}, "-config",
		proxy.ConfigFile, "metadata", "-virtual-storage", "default",
		"-relative-path", "sealed.git")
	require.Zero(t, found.code, found)
	require.Contains(t, found.stdout, `Relative Path: "sealed.git"`)

	awaitCurrent(t, conn, repository, 3)
	node := secondary(t, c, conn, repository)
	require.NoError(t, node.Kill())
	require.NoError(t, write(t.Context(), conn, repository, "other"))
	require.NotContains(t, current(recorded(t.Context(), t, conn, repository)), node.Storage)
	begin(t, node)
	awaitCurrent(t, conn, repository, 3)
}

// secondary is a node that is not the primary of a repository.
func secondary(
	t *testing.T, c *cluster.Cluster, conn grpc.ClientConnInterface,
	repository *gitalypb.Repository,
) *cluster.Node {
	t.Helper()
	primary := recorded(t.Context(), t, conn, repository).GetPrimary()
	for _, node := range c.Nodes() {
		if node.Storage != primary {
			return node
		}
	}
	require.Fail(t, "no secondary")

	return nil
}

// primary is the node that is it.
func primary(
	t *testing.T, c *cluster.Cluster, conn grpc.ClientConnInterface,
	repository *gitalypb.Repository,
) *cluster.Node {
	t.Helper()
	node, err := c.Node(recorded(t.Context(), t, conn, repository).GetPrimary())
	require.NoError(t, err)

	return node
}

// TestT178PrimaryDies kills a primary. Reads go on, and nobody is elected for them; the first write
// elects another one, by itself and soon.
//
// Requirements: T179, T180, T187
func TestT178PrimaryDies(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{})
	conn := dialled(t, c, c.Proxy().Address)
	repository := create(t, conn, "elects.git")
	awaitCurrent(t, conn, repository, 3)
	dead := primary(t, c, conn, repository)
	require.NoError(t, dead.Kill())
	for range 20 {
		outlast(t, func(ctx context.Context) error {
			_, err := gitalypb.NewRepositoryServiceClient(conn).CalculateChecksum(ctx,
				&gitalypb.CalculateChecksumRequest{Repository: repository})
			return err
		})
	}
	require.Equal(t, dead.Storage, recorded(t.Context(), t, conn, repository).GetPrimary())
	killed := time.Now()
	outlast(t, func(ctx context.Context) error { return write(ctx, conn, repository, "other") })
	t.Logf("written %s after the reads", time.Since(killed))
	after := recorded(t.Context(), t, conn, repository)
	require.NotEqual(t, dead.Storage, after.GetPrimary())
	require.NotContains(t, current(after), dead.Storage)
	begin(t, dead)
	awaitCurrent(t, conn, repository, 3)
}

// TestT185NoCandidate leaves only a node that has not the last write: it is not elected, whoever
// needs a primary is told so, and all goes on when the others are back.
//
// Requirements: T139, T181, T186
func TestT185NoCandidate(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{})
	conn := dialled(t, c, c.Proxy().Address)
	repository := create(t, conn, "nobody.git")
	awaitCurrent(t, conn, repository, 3)
	outdated := secondary(t, c, conn, repository)
	require.NoError(t, outdated.Kill())
	outlast(t, func(ctx context.Context) error { return write(ctx, conn, repository, "other") })
	for _, node := range c.Nodes() {
		if node != outdated {
			require.NoError(t, node.Kill())
		}
	}
	begin(t, outdated)
	// What is refused first may be due to the time that it takes to find out.
	refused := func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		return write(ctx, conn, repository, "never")
	}
	require.Eventually(t, func() bool {
		return status.Code(refused(t.Context())) == codes.Unavailable
	}, wait, tick)
	onlyPrimary := metadata.AppendToOutgoingContext(t.Context(),
		"gitaly-route-repository-accessor-policy", "primary-only")
	for _, ctx := range []context.Context{t.Context(), onlyPrimary} {
		_, err := gitalypb.NewRepositoryServiceClient(conn).CalculateChecksum(ctx,
			&gitalypb.CalculateChecksumRequest{Repository: repository})
		require.Equal(t, codes.Unavailable, status.Code(err), err)
	}
	found := recorded(t.Context(), t, conn, repository)
	require.Empty(t, found.GetPrimary(), "there is none")
	require.NotContains(t, current(found), outdated.Storage)
	require.Contains(t, command(t, c, "dataloss"),
		"    nobody.git (unavailable):\n      Primary: No Primary\n")

	for _, node := range c.Nodes() {
		if node != outdated {
			begin(t, node)
		}
	}
	outlast(t, func(ctx context.Context) error { return write(ctx, conn, repository, "again") })
	awaitCurrent(t, conn, repository, 3)
}

// TestT192RepairsOutliveTheProxy kills the only proxy while a replica waits for its repair. Clients
// see that nobody is there; the next process repairs.
//
// Requirements: T138
func TestT192RepairsOutliveTheProxy(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{})
	conn := dialled(t, c, c.Proxy().Address)
	repository := create(t, conn, "waits.git")
	awaitCurrent(t, conn, repository, 3)
	node := secondary(t, c, conn, repository)
	require.NoError(t, node.Kill())
	outlast(t, func(ctx context.Context) error { return write(ctx, conn, repository, "other") })
	require.Len(t, current(recorded(t.Context(), t, conn, repository)), 2)
	require.NoError(t, c.Proxy().Process().Kill())
	require.Equal(t, codes.Unavailable, status.Code(exists(t.Context(), conn, repository)))
	begin(t, node)
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	require.NoError(t, c.Proxy().Start(ctx))
	again := dialled(t, c, c.Proxy().Address)
	awaitCurrent(t, again, repository, 3)
}

// verified counts the replicas of a repository that were found since they were marked.
func verified(
	ctx context.Context, t require.TestingT, conn grpc.ClientConnInterface,
	repository *gitalypb.Repository,
) int {
	count := 0
	for _, replica := range recorded(ctx, t, conn, repository).GetReplicas() {
		if replica.GetVerifiedAt() != nil {
			count++
		}
	}

	return count
}

// awaitVerified waits until all three replicas are current and were found.
func awaitVerified(
	t *testing.T, conn grpc.ClientConnInterface, repository *gitalypb.Repository,
) {
	t.Helper()
	awaitCurrent(t, conn, repository, 3)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Equal(c, 3, verified(t.Context(), c, conn, repository))
	}, wait, tick)
}

// awaitCopied waits until a replica is on a node's disk.
func awaitCopied(t *testing.T, node *cluster.Node, replicaPath string) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(node.Path(replicaPath), "HEAD"))
		return err == nil
	}, wait, tick, "the replica is not copied again")
}

// TestT174EmptyDisk loses first one replica and then a whole disk. What was marked is looked for at
// once, found to be missing, and copied again.
//
// Requirements: T095, T096, T097, T098, T165, T173
func TestT174EmptyDisk(t *testing.T) {
	t.Parallel()
	const repositories = 5
	c := start(t, cluster.Config{})
	conn := dialled(t, c, c.Proxy().Address)
	var all []*gitalypb.Repository
	for i := range repositories {
		all = append(all, create(t, conn, fmt.Sprintf("lost-%d.git", i)))
		awaitVerified(t, conn, all[i])
	}
	mark := func(want int, args ...string) {
		result := praefect(t, nil, append([]string{
			"-config", c.Proxy().ConfigFile, "verify",
		}, args...)...)
		require.Equal(t, fmt.Sprintf("%d replicas marked unverified\n", want), result.stdout)
	}

	first := recorded(t.Context(), t, conn, all[0])
	require.NoError(t, os.RemoveAll(c.Nodes()[1].Path(first.GetReplicaPath())))
	marked := time.Now()
	mark(3, fmt.Sprintf("-repository-id=%d", first.GetRepositoryId()))
	awaitCopied(t, c.Nodes()[1], first.GetReplicaPath())
	t.Logf("copied again %s after it was marked", time.Since(marked))
	awaitVerified(t, conn, all[0])

	node := c.Nodes()[2]
	require.NoError(t, node.Kill())
	require.NoError(t, os.RemoveAll(node.Disk))
	require.NoError(t, os.MkdirAll(node.Disk, enterable))
	begin(t, node)
	mark(repositories, "-virtual-storage=default", "-storage="+node.Storage)
	for _, repository := range all {
		awaitCopied(t, node, recorded(t.Context(), t, conn, repository).GetReplicaPath())
		awaitVerified(t, conn, repository)
	}
	mark(3*repositories, "-virtual-storage=default")
}
