package proxy_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"praefect/coordinator"
	"praefect/coordinator/memory"
	"praefect/coordinator/metadatatest"
	"praefect/proxy"
	"praefect/proxy/auth"
	"praefect/proxy/backchannel"
	"praefect/proxy/backend"
	"praefect/proxy/gitalypb"
	"praefect/proxy/learn"
	"praefect/proxy/method"
	"praefect/proxy/relay"
	"praefect/proxy/sidechannel"
	"praefect/proxy/telemetry"
	"praefect/proxy/tracing"
	"praefect/transaction"
	"praefect/transaction/registry"
)

const (
	virtualStorage = "default"
	relativePath   = "group/project.git"
	secret         = "shared secret"
)

// patience bounds what must happen soon; no test waits for it to pass.
const patience = 10 * time.Second

// cluster is everything between a client and three nodes, on real connections. The metadata are
// in memory.
type cluster struct {
	t           testing.TB
	log         *zap.Logger
	store       *memory.Store
	alone       metadatatest.Alone
	coordinator *coordinator.Coordinator
	registry    *registry.Registry
	relay       *relay.Relay
	pool        *backend.Pool
	server      *proxy.Server
	metrics     *prometheus.Registry
	nodes       []*node
	address     string
	client      *grpc.ClientConn
	// replicaPath is where nodes keep the repository of the tests.
	replicaPath string

	sick     sync.Map // storage -> struct{}
	notReady atomic.Bool
}

// Healthy implements the coordinator's Health.
func (c *cluster) Healthy(_ coordinator.VirtualStorage, storage coordinator.Storage) bool {
	_, sick := c.sick.Load(string(storage))
	return !sick
}

// settings are what tests change.
type settings struct {
	relay    relay.Config
	registry registry.Config
	proxy    proxy.Config
	server   proxy.ServerConfig
	native   func(grpc.ServiceRegistrar) error
	// own makes native of a cluster of which all but the server is there.
	own func(*cluster) func(grpc.ServiceRegistrar) error
	log *zap.Logger
	// connections and metadata make what the proxy sees of what there is.
	connections func(proxy.Connections) proxy.Connections
	metadata    func(coordinator.Store) coordinator.Store
	// tracer and reports may be nil.
	tracer  *tracing.Tracer
	reports *telemetry.Sentry
}

func newCluster(t testing.TB, change ...func(*settings)) *cluster {
	t.Helper()
	s := settings{
		relay: relay.DefaultConfig(),
		// A busy machine must not make nodes look slow.
		registry: registry.Config{GraceMin: patience, GraceMax: patience},
		native:   func(grpc.ServiceRegistrar) error { return nil },
		log:      zaptest.NewLogger(t),

		connections: func(c proxy.Connections) proxy.Connections { return c },
		metadata:    func(s coordinator.Store) coordinator.Store { return s },
	}
	for _, apply := range change {
		apply(&s)
	}
	c := &cluster{
		t: t, log: s.log, store: memory.New(), metrics: prometheus.NewRegistry(),
	}
	var storages []coordinator.Storage
	var nodes []backend.Node
	for _, storage := range []string{"node-1", "node-2", "node-3"} {
		n := newNode(t, storage)
		c.nodes = append(c.nodes, n)
		storages = append(storages, coordinator.Storage(storage))
		nodes = append(nodes, backend.Node{
			VirtualStorage: virtualStorage, Storage: storage,
			Address: "tcp://" + n.address, Token: "inner",
		})
	}
	c.decide(storages, s)
	handler := c.carry(nodes, s)
	if s.own != nil {
		s.native = s.own(c)
	}
	c.serve(handler, s)
	c.create(storages)
	c.client = c.dial(insecure.NewCredentials())
	return c
}

// decide makes what decides.
func (c *cluster) decide(storages []coordinator.Storage, s settings) {
	c.t.Helper()
	var err error
	c.alone = metadatatest.NewAlone(c.t, c.store)
	c.coordinator, err = coordinator.New(coordinator.Dependencies{
		Cluster: coordinator.Cluster{
			VirtualStorages: map[coordinator.VirtualStorage]coordinator.VirtualStorageConfig{
				virtualStorage: {Storages: storages},
			},
		},
		Store: s.metadata(c.store), Health: c, Agreed: c, Lease: c.alone, Peers: c.alone,
		Registerer: c.metrics,
	}, c.log, coordinator.Config{})
	require.NoError(c.t, err)
	c.registry, err = registry.New(c.metrics, c.log, s.registry)
	require.NoError(c.t, err)
	c.relay, err = relay.New(relay.NewMetrics(c.metrics), c.log, s.relay)
	require.NoError(c.t, err)
}

// carry connects to the nodes and returns the handler.
func (c *cluster) carry(nodes []backend.Node, s settings) *proxy.Handler {
	c.t.Helper()
	if s.proxy.Grace == 0 {
		s.proxy.Grace = patience
	}
	sidechannels := sidechannel.NewRegistry(c.log)
	var err error
	c.pool, err = backend.Dial(nodes, backend.Dependencies{
		Votes: func(n backend.Node) gitalypb.RefTransactionServer {
			return c.registry.Service(transaction.Voter(n.Storage))
		},
		DialOptions: relay.DialOptions(),
		NodeOptions: func(n backend.Node) []grpc.DialOption {
			return s.tracer.DialOptions(n.VirtualStorage, n.Storage)
		},
		Sidechannels: sidechannels,
	}, zap.NewNop(), backend.DefaultConfig())
	require.NoError(c.t, err)
	c.t.Cleanup(func() { require.NoError(c.t, c.pool.Close()) })
	learner, err := learn.New(c.pool, c.metrics, c.log, learn.Config{})
	require.NoError(c.t, err)
	c.t.Cleanup(func() { require.NoError(c.t, learner.Close()) })
	handler, err := proxy.New(proxy.Dependencies{
		Coordinator: c.coordinator, Registry: c.registry, Relay: c.relay,
		Connections:  s.connections(c.pool),
		Sidechannels: sidechannels, Methods: method.Builtin(), Learner: learner,
		Registerer: c.metrics,
	}, c.log, s.proxy)
	require.NoError(c.t, err)
	return handler
}

// serve runs the server until the test ends.
func (c *cluster) serve(handler *proxy.Handler, s settings) {
	c.t.Helper()
	verifier, err := auth.New(c.metrics, auth.Config{Token: secret})
	require.NoError(c.t, err)
	peers := backchannel.NewPeers(zap.NewNop())
	c.server, err = proxy.NewServer(proxy.ServerDependencies{
		Handler: handler, Native: s.native, Verifier: verifier, Peers: peers,
		Tracer: s.tracer, Reports: s.reports,
		Ready: func() error {
			if c.notReady.Load() {
				return proxy.ErrNotReady
			}
			return nil
		},
		Registerer: c.metrics,
	}, c.log, s.server)
	require.NoError(c.t, err)
	var config net.ListenConfig
	listener, err := config.Listen(c.t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(c.t, err)
	c.address = listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- c.server.Serve(listener, insecure.NewCredentials()) }()
	c.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(c.t, c.server.Stop(ctx))
		require.NoError(c.t, <-served)
		require.NoError(c.t, c.relay.Close(ctx))
		require.NoError(c.t, peers.Close())
	})
}

// dial connects a client with the right token.
func (c *cluster) dial(
	security credentials.TransportCredentials, options ...grpc.DialOption,
) *grpc.ClientConn {
	c.t.Helper()
	options = append(options, grpc.WithTransportCredentials(security),
		grpc.WithPerRPCCredentials(auth.Credentials(secret, nil)))
	return c.dialPlain(options...)
}

func (c *cluster) dialPlain(options ...grpc.DialOption) *grpc.ClientConn {
	c.t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+c.address, options...)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { require.NoError(c.t, conn.Close()) })
	return conn
}

// create puts the repository of the tests into the metadata, with the first node as primary.
func (c *cluster) create(storages []coordinator.Storage) {
	c.t.Helper()
	const id = 42
	c.replicaPath = coordinator.ReplicaPath(id, relativePath)
	incarnation, _ := c.alone.Incarnation()
	require.NoError(c.t, c.store.Create(c.t.Context(), coordinator.Creation{
		ID:          id,
		Key:         coordinator.Key{VirtualStorage: virtualStorage, RelativePath: relativePath},
		ReplicaPath: c.replicaPath, Primary: storages[0],
		Participants: storages, Assigned: storages, Incarnation: incarnation,
	}))
	require.NoError(c.t, c.store.Complete(c.t.Context(), id))
}

// state returns what the metadata know of a repository.
func (c *cluster) state(path string) coordinator.Repository {
	c.t.Helper()
	repository, err := c.store.Lookup(c.t.Context(), coordinator.Key{
		VirtualStorage: virtualStorage, RelativePath: path,
	})
	require.NoError(c.t, err)
	return repository
}

// current returns the storages that hold all writes of the repository of the tests.
func (c *cluster) current() []string {
	c.t.Helper()
	var current []string
	repository := c.state(relativePath)
	for _, replica := range repository.Replicas {
		if repository.Current(replica.Storage) {
			current = append(current, string(replica.Storage))
		}
	}
	return current
}

// onAll sets what all nodes do when a method is called.
func (c *cluster) onAll(method string, do script) {
	for _, n := range c.nodes {
		n.on(method, do)
	}
}

// named returns the node with a storage.
func (c *cluster) named(storage string) *node {
	c.t.Helper()
	for _, n := range c.nodes {
		if n.storage == storage {
			return n
		}
	}
	require.FailNow(c.t, "no such node", storage)
	return nil
}

func target() *gitalypb.Repository {
	return &gitalypb.Repository{StorageName: virtualStorage, RelativePath: relativePath}
}
