package node_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"praefect/hooks"
	"praefect/hooks/node"
	"praefect/proxy/auth"
	"praefect/proxy/backchannel"
	"praefect/proxy/gitalypb"
	"praefect/proxy/sidechannel"
)

const (
	storage  = "gitaly-1"
	token    = "secret"
	waitLong = 20 * time.Second
	tick     = 10 * time.Millisecond
)

// hooksBinary is where TestMain has built praefect-hooks.
var hooksBinary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "node-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // The tests are over.

	hooksBinary = filepath.Join(dir, "praefect-hooks")
	build := exec.CommandContext(context.Background(),
		"go", "build", "-o", hooksBinary, "praefect/cmd/praefect-hooks")
	if output, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v: %s", err, output))
	}

	if m.Run() == 0 {
		if err := goleak.Find(); err != nil {
			panic(err)
		}
	}
}

// rig is a running node and a proxy-like client of it.
type rig struct {
	dir   string
	addr  string
	cfg   node.Config
	conn  *grpc.ClientConn
	side  *sidechannel.Registry
	votes *coordinator

	disconnect func() // ends the connection
	stop       func() // ends the node, then the connection
}

// start starts a node on an empty disk.
func start(t *testing.T, change ...func(*node.Config)) *rig {
	t.Helper()

	r := &rig{dir: t.TempDir(), votes: newCoordinator()}
	r.cfg = node.Config{
		Storage: storage, Directory: r.dir, Token: token, HooksBinary: hooksBinary,
		NoSync: true, StopTimeout: waitLong,
	}
	for _, f := range change {
		f(&r.cfg)
	}
	r.run(t)

	return r
}

// run starts the node, and connects to it.
func (r *rig) run(t *testing.T) {
	t.Helper()

	log := zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel))
	n, err := node.New(r.cfg, log)
	require.NoError(t, err)
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r.addr = listener.Addr().String()

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx, listener) }()

	disconnect := r.connect(t, log)
	r.disconnect = disconnect
	r.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
		disconnect()
	})
	t.Cleanup(r.stop)
}

// connect makes the multiplexed connection of a proxy. The returned function ends it.
func (r *rig) connect(t *testing.T, log *zap.Logger) func() {
	t.Helper()

	r.side = sidechannel.NewRegistry(log)
	client := backchannel.NewClient(insecure.NewCredentials(), backchannel.Services{
		Server: func() *grpc.Server {
			server := grpc.NewServer(grpc.WaitForHandlers(true))
			gitalypb.RegisterRefTransactionServer(server, r.votes)

			return server
		},
		Sidechannel: r.side.Accept,
	}, log, backchannel.DefaultConfig())
	conn, err := grpc.NewClient("passthrough:///"+r.addr,
		grpc.WithTransportCredentials(client),
		grpc.WithPerRPCCredentials(auth.Credentials(token, nil)),
	)
	require.NoError(t, err)
	r.conn = conn

	return sync.OnceFunc(func() {
		require.NoError(t, conn.Close())
		require.NoError(t, client.Close())
	})
}

// plainWithToken returns a connection without multiplexing on which calls may be made.
func (r *rig) plainWithToken(t *testing.T) *grpc.ClientConn {
	t.Helper()

	return r.plain(t, grpc.WithPerRPCCredentials(auth.Credentials(token, nil)))
}

// plain returns a connection without multiplexing.
func (r *rig) plain(t *testing.T, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()

	conn, err := grpc.NewClient("passthrough:///"+r.addr,
		append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })

	return conn
}

// voting returns a context for a call that is voted on.
func voting(ctx context.Context, primary bool) context.Context {
	value, err := json.Marshal(hooks.Transaction{ID: 7, Node: storage, Primary: primary})
	if err != nil {
		panic(err)
	}

	return metadata.AppendToOutgoingContext(ctx,
		hooks.TransactionMetadata, base64.StdEncoding.EncodeToString(value))
}

// create creates a repository without a vote.
func (r *rig) create(t *testing.T, relative string) *gitalypb.Repository {
	t.Helper()

	repo := &gitalypb.Repository{StorageName: storage, RelativePath: relative}
	_, err := gitalypb.NewRepositoryServiceClient(r.conn).CreateRepository(t.Context(),
		&gitalypb.CreateRepositoryRequest{Repository: repo, DefaultBranch: []byte("main")})
	require.NoError(t, err)

	return repo
}

// path is where a repository lies.
func (r *rig) path(repo *gitalypb.Repository) string {
	return filepath.Join(r.dir, repo.GetRelativePath())
}

// requireNoLocks asserts that nothing is locked or left over on the disk.
func (r *rig) requireNoLocks(t *testing.T) {
	t.Helper()

	err := filepath.WalkDir(r.dir, func(path string, _ os.DirEntry, err error) error {
		require.NoError(t, err)
		require.NotRegexp(t, `\.lock$|tmp_objdir|incoming-|/tmp/repository-`, path)

		return nil
	})
	require.NoError(t, err)
}
