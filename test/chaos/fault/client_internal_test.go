package fault

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

// nodeClient talks to a node directly.
type nodeClient struct {
	storage string
	conn    *grpc.ClientConn
}

func newClient(t *testing.T, node *cluster.Node) *nodeClient {
	t.Helper()

	conn, err := cluster.Dial(node.Address, "secret")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })

	return &nodeClient{storage: node.Storage, conn: conn}
}

func (c *nodeClient) create(ctx context.Context, path string) error {
	_, err := gitalypb.NewRepositoryServiceClient(c.conn).CreateRepository(ctx,
		&gitalypb.CreateRepositoryRequest{Repository: &gitalypb.Repository{
			StorageName: c.storage, RelativePath: path,
		}})

	return err
}
