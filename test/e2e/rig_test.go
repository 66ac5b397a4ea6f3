package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"

	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

const (
	// waitLong bounds the waits for something that takes a moment, promised bounds those for which
	// the design promises ten seconds.
	waitLong = 30 * time.Second
	promised = 10 * time.Second
	tick     = 50 * time.Millisecond
)

// rig is a cluster and what a test needs to look at it.
type rig struct {
	*cluster.Cluster
	// context is that of the test.
	context context.Context //nolint:containedctx // A rig lives as long as its test.
	conn    *grpc.ClientConn
	boards  map[string]*switchboard
	// gatewayLog has what the gateway logged, if withGatewayLog was asked for.
	gatewayLog *observer.ObservedLogs
}

// repository is a repository of a rig under both of its names.
type repository struct {
	rig         *rig
	proto       *gitalypb.Repository
	replicaPath string
}

// configure changes what a rig starts with.
type configure func(t *testing.T, r *rig, config *cluster.Config)

// withSwitchboards gives every node hooks that can be stopped.
func withSwitchboards(t *testing.T, r *rig, config *cluster.Config) {
	t.Helper()

	config.Hooks = map[string]string{}
	for _, storage := range []string{"gitaly-1", "gitaly-2", "gitaly-3"} {
		r.boards[storage] = newSwitchboard(t, config.Programs.Hooks)
		config.Hooks[storage] = r.boards[storage].program
	}
}

// withPatience makes the proxy wait longer for nodes that lag behind. On a machine that is busy
// with other tests healthy nodes drift further apart than in life, and the proxy goes on without
// them.
func withPatience(_ *testing.T, _ *rig, config *cluster.Config) {
	config.Extra = "[transactions]\ngrace_min = \"5s\"\ngrace_max = \"5s\"\n"
}

// withGatewayLog keeps what the gateway logs, for waitGone.
func withGatewayLog(_ *testing.T, r *rig, config *cluster.Config) {
	core, logs := observer.New(zap.InfoLevel)
	r.gatewayLog, config.Log = logs, zap.New(core)
}

// waitGone waits until the gateway has given up a request whose client is gone, and so has told the
// proxy.
func (r *rig) waitGone(t *testing.T) {
	t.Helper()

	const clientClosedRequest = 499
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		gone := r.gatewayLog.FilterField(zap.Int("status", clientClosedRequest))
		assert.NotZero(c, gone.Len())
	}, promised, tick)
}

// startRig starts three nodes, a proxy and a gateway on a database of their own, and ends them with
// the test. The logs are shown when it fails.
func startRig(t *testing.T, options ...configure) *rig {
	t.Helper()

	r := &rig{context: t.Context(), boards: map[string]*switchboard{}}
	config := cluster.Config{Programs: suite.programs, Database: newDatabase(t)}
	for _, option := range options {
		option(t, r, &config)
	}

	ctx, cancel := context.WithTimeout(t.Context(), waitLong)
	defer cancel()

	started, err := cluster.Start(ctx, config)
	require.NoError(t, err)
	r.Cluster = started
	t.Cleanup(func() {
		r.checkHealth(t)
		if t.Failed() {
			r.showLogs(t)
		}
		require.NoError(t, started.Close())
	})

	r.startAudit(t)
	r.conn, err = cluster.Dial(r.Proxy().Address, r.Token())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.conn.Close()) })

	return r
}

// checkHealth looks for what must never be found after whatever a test did: a panic, or a
// transaction that does not end.
func (r *rig) checkHealth(t *testing.T) {
	t.Helper()

	files, err := filepath.Glob(filepath.Join(r.Dir(), "log", "*"))
	require.NoError(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.NotContains(t, string(content), "panic", filepath.Base(file))
		assert.NotContains(t, string(content), "DATA RACE", filepath.Base(file))
		checkComponents(t, string(content))
	}
	if r.Proxy().Process().Running() {
		assert.EventuallyWithT(t, func(c *assert.CollectT) {
			for _, name := range []string{
				"transactions_live", "turns_left_open", "draining_calls",
			} {
				assert.Zero(c, r.metric(c, "gitaly_praefect_"+name), name)
			}
		}, promised, tick)
	}
}

// checkComponents demands that no part of the proxy names itself twice in its lines.
func checkComponents(t *testing.T, log string) {
	t.Helper()

	component := regexp.MustCompile(`"component":"([^"]*)"`)
	for _, found := range component.FindAllStringSubmatch(log, -1) {
		names := strings.Split(found[1], ".")
		assert.Len(t, slices.Compact(slices.Sorted(slices.Values(names))), len(names), found[1])
	}
}

// showLogs prints the ends of all logs.
func (r *rig) showLogs(t *testing.T) {
	t.Helper()

	files, err := filepath.Glob(filepath.Join(r.Dir(), "log", "*"))
	require.NoError(t, err)

	const limit = 16 << 10
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		t.Logf("%s:\n%s", filepath.Base(file), content[max(0, len(content)-limit):])
	}
}

// createRepository creates an empty repository through the proxy.
func (r *rig) createRepository(t *testing.T) *repository {
	t.Helper()

	repo := &repository{rig: r, proto: &gitalypb.Repository{
		StorageName: r.VirtualStorage(), RelativePath: fmt.Sprintf("group/%x.git", rand.Uint64()),
	}}
	_, err := gitalypb.NewRepositoryServiceClient(r.conn).CreateRepository(t.Context(),
		&gitalypb.CreateRepositoryRequest{
			Repository: repo.proto, DefaultBranch: []byte("main"),
		})
	require.NoError(t, err)
	repo.replicaPath = repo.metadata(t).replicaPath

	return repo
}

// remote is the URL for Git.
func (r *repository) remote() string { return r.rig.GitURL(r.proto.GetRelativePath()) }

// node returns the node of a storage.
func (r *repository) node(t *testing.T, storage string) *cluster.Node {
	t.Helper()

	node, err := r.rig.Node(storage)
	require.NoError(t, err)

	return node
}

// primary returns the node of the recorded primary.
func (r *repository) primary(t *testing.T) *cluster.Node {
	t.Helper()

	return r.node(t, r.metadata(t).primary)
}

// secondary returns one of the other nodes.
func (r *repository) secondary(t *testing.T) *cluster.Node {
	t.Helper()

	primary := r.metadata(t).primary
	for _, node := range r.rig.Nodes() {
		if node.Storage != primary {
			return node
		}
	}
	require.Fail(t, "no secondary")

	return nil
}
