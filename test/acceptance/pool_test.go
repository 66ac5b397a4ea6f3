package acceptance_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

// poolPath has the form of pools, which nodes recognise.
const poolPath = "@pools/6b/86/" +
	"6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b.git"

// pooled makes a pool of one repository, from which this and another borrow.
func pooled(t *testing.T, conn grpc.ClientConnInterface) {
	t.Helper()
	origin, fork := create(t, conn, "origin.git"), create(t, conn, "fork.git")
	client := gitalypb.NewObjectPoolServiceClient(conn)
	pool := &gitalypb.ObjectPool{Repository: &gitalypb.Repository{
		StorageName: "default", RelativePath: poolPath,
	}}
	_, err := client.CreateObjectPool(t.Context(), &gitalypb.CreateObjectPoolRequest{
		ObjectPool: pool, Origin: origin,
	})
	require.NoError(t, err)
	for _, repository := range []*gitalypb.Repository{origin, fork} {
		_, err := client.LinkRepositoryToObjectPool(t.Context(),
			&gitalypb.LinkRepositoryToObjectPoolRequest{Repository: repository, ObjectPool: pool})
		require.NoError(t, err)
	}
}

// tellPool tells a node of a member, in place of what it knew.
func tellPool(
	t *testing.T, node *cluster.Node, conn grpc.ClientConnInterface, pool, upstream string,
) {
	t.Helper()
	stream, err := gitalypb.NewInternalGitalyClient(conn).StorePoolMetadata(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&gitalypb.StorePoolMetadataRequest{
		StorageName: node.Storage, PoolDiskPath: pool, RelativePath: upstream, IsUpstream: true,
	}))
	_, err = stream.CloseAndRecv()
	require.NoError(t, err)
}

// poolsOn lists the pools that a node was told of, and the upstream of some.
func poolsOn(
	t *testing.T, node *cluster.Node, conn grpc.ClientConnInterface, paths ...string,
) (pools []string, upstreams map[string]string) {
	t.Helper()
	client := gitalypb.NewInternalGitalyClient(conn)
	list, err := client.ListPoolMetadata(t.Context(),
		&gitalypb.ListPoolMetadataRequest{StorageName: node.Storage})
	require.NoError(t, err)
	for {
		found, err := list.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		pools = append(pools, found.GetPoolDiskPath())
	}
	stream, err := client.ListPoolUpstreams(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&gitalypb.ListPoolUpstreamsRequest{
		StorageName: "default", PoolDiskPaths: paths,
	}))
	require.NoError(t, stream.CloseSend())
	answer, err := stream.Recv()
	require.NoError(t, err)

	return pools, answer.GetUpstreams()
}

// TestPoolCommand collects what borrows from pools, by the paths of clients, from the primaries
// alone, and tells all nodes. What they knew of upstreams stays, other things that they knew go.
func TestPoolCommand(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{})
	conn := dialled(t, c, c.Proxy().Address)
	create(t, conn, "alone.git")
	require.Equal(t, "found 0 unique pool members in virtual storage \"default\"\n"+
		"no pool members found on virtual storage \"default\", nothing to store\n",
		command(t, c, "pool"))

	pooled(t, conn)
	alone, pool := metadataOf(t, c, "alone.git"), metadataOf(t, c, poolPath)
	nodes := map[*cluster.Node]*grpc.ClientConn{}
	for i, node := range c.Nodes() {
		nodes[node] = dialled(t, c, node.Address)
		if i == 0 { // The one that is asked for upstreams.
			tellPool(t, node, nodes[node], poolPath, "origin.git")
		} else {
			tellPool(t, node, nodes[node], "@pools/gone.git", "gone.git")
		}
		if node.Storage != alone.Primary { // A secondary that differs does not count.
			borrow(t, node, alone.ReplicaPath, pool.ReplicaPath)
		}
	}
	require.Equal(t, "found 2 unique pool members in virtual storage \"default\"\n"+
		"stored pool metadata for virtual storage \"default\" on 3 nodes\n", command(t, c, "pool"))
	for node, conn := range nodes {
		pools, upstreams := poolsOn(t, node, conn, poolPath, "@pools/gone.git")
		require.Equal(t, []string{poolPath}, pools, node.Storage)
		require.Equal(t, map[string]string{poolPath: "origin.git"}, upstreams, node.Storage)
		content, err := os.ReadFile(node.Path("+node/pools"))
		require.NoError(t, err)
		require.JSONEq(t, `{"`+poolPath+
			`": {"upstream": "origin.git", "members": ["fork.git", "origin.git"]}}`,
			string(content))
	}
	requirePoolErrors(t, c, nodes)
}

// requirePoolErrors has one node fail to keep what it is told, which the others are told all the
// same, and then a primary not answer, after which nobody is told anything.
func requirePoolErrors(
	t *testing.T, c *cluster.Cluster, nodes map[*cluster.Node]*grpc.ClientConn,
) {
	t.Helper()
	first, second, third := c.Nodes()[0], c.Nodes()[1], c.Nodes()[2]
	require.NoError(t, os.Remove(second.Path("+node/pools")))
	require.NoError(t, os.Mkdir(second.Path("+node/pools"), 0o700))
	tellPool(t, third, nodes[third], "@pools/gone.git", "gone.git")
	out := refused(t, c, "pool")
	require.Contains(t, out, `store pool members for "default": store on "`+second.Storage+`": `)
	require.NotContains(t, out, "stored pool metadata")
	pools, _ := poolsOn(t, third, nodes[third])
	require.Equal(t, []string{poolPath}, pools)

	tellPool(t, third, nodes[third], "@pools/gone.git", "gone.git")
	primary := metadataOf(t, c, "origin.git").Primary
	for _, node := range c.Nodes() {
		if node.Storage == primary {
			require.NoError(t, node.Kill())
		}
	}
	require.Contains(t, refused(t, c, "pool"), `scan primaries for "default": scan "`)
	asked := third
	if third.Storage == primary {
		asked = first
		tellPool(t, first, nodes[first], "@pools/gone.git", "gone.git")
		require.Contains(t, refused(t, c, "pool"), `scan primaries for "default": scan "`)
	}
	pools, _ = poolsOn(t, asked, nodes[asked])
	require.Equal(t, []string{"@pools/gone.git"}, pools)
}

// borrow makes a replica borrow from another, on one node alone.
func borrow(t *testing.T, node *cluster.Node, replicaPath, pool string) {
	t.Helper()
	objects := node.Path(replicaPath + "/objects")
	relative, err := filepath.Rel(objects, node.Path(pool+"/objects"))
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(objects, "info"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(objects, "info", "alternates"),
		[]byte(relative+"\n"), 0o600))
}
