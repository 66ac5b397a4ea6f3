package learn_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/test/bufconn"

	"praefect/proxy/backend"
	"praefect/proxy/learn"
	"praefect/proxy/learn/learntest"
)

// patience bounds what must happen soon; no test waits for it to pass.
const patience = 10 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is a node that tells what its reflection was given.
type node struct {
	learntest.Reflection

	backend.Node
	conn *grpc.ClientConn
	// connections is what the proxy is told of them.
	connections atomic.Uint64
	// hold, when set, is called before each answer.
	hold atomic.Pointer[func(context.Context) error]
}

// ServerReflectionInfo implements the reflection service.
func (n *node) ServerReflectionInfo(
	stream grpc.BidiStreamingServer[
		reflectionpb.ServerReflectionRequest, reflectionpb.ServerReflectionResponse],
) error {
	if hold := n.hold.Load(); hold != nil {
		if err := (*hold)(stream.Context()); err != nil {
			return err
		}
	}
	return n.Reflection.ServerReflectionInfo(stream)
}

func (n *node) holding(hold func(context.Context) error) { n.hold.Store(&hold) }

// cluster is some nodes.
type cluster []*node

func newCluster(t *testing.T, storages ...string) cluster {
	t.Helper()
	var c cluster
	for _, storage := range storages {
		n := &node{Node: backend.Node{
			VirtualStorage: "default", Storage: storage, Address: "tcp://" + storage + ":1",
		}}
		n.connections.Store(1)
		n.serve(t)
		c = append(c, n)
	}
	return c
}

func (n *node) serve(t *testing.T) {
	t.Helper()
	listener := bufconn.Listen(64 << 10)
	server := grpc.NewServer()
	reflectionpb.RegisterServerReflectionServer(server, n)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	var err error
	n.conn, err = grpc.NewClient("passthrough:///node",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return listener.DialContext(ctx)
		}))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, n.conn.Close())
		server.Stop()
		serving.Wait()
	})
}

// Nodes implements learn.Nodes.
func (c cluster) Nodes() []backend.Node {
	var all []backend.Node
	for _, n := range c {
		all = append(all, n.Node)
	}
	return all
}

func (c cluster) named(storage string) *node {
	for _, n := range c {
		if n.Storage == storage {
			return n
		}
	}
	return nil
}

// Conn implements learn.Nodes.
func (c cluster) Conn(_, storage string) (grpc.ClientConnInterface, bool) {
	return c.named(storage).conn, true
}

// Connections implements learn.Nodes.
func (c cluster) Connections(_, storage string) uint64 {
	return c.named(storage).connections.Load()
}

func (c cluster) learner(t *testing.T, config learn.Config) *learn.Learner {
	t.Helper()
	learner, err := learn.New(c, prometheus.NewRegistry(), zap.NewNop(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, learner.Close()) })
	return learner
}
