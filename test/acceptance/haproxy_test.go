package acceptance_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

// startHAProxy spreads connections over proxies, fewest first, and returns where it listens.
// Connections that were silent for some time are ended.
func startHAProxy(
	t *testing.T, proxies []*cluster.Proxy, silence time.Duration,
) string {
	t.Helper()
	path := installed(t, "haproxy", "haproxy")
	address, err := cluster.FreeAddress(t.Context())
	require.NoError(t, err)
	var text strings.Builder
	fmt.Fprintf(&text, `defaults
  mode tcp
  balance leastconn
  timeout connect 2s
  timeout client %[2]dms
  timeout server %[2]dms
  option redispatch
  retries 3
listen praefect
  bind %[1]s
  default-server check inter 200ms fall 1 rise 1 on-marked-down shutdown-sessions
`, address, silence.Milliseconds())
	for _, proxy := range proxies {
		fmt.Fprintf(&text, "  server %s %s\n",
			proxy.Name, strings.TrimPrefix(proxy.Address, "tcp://"))
	}
	settings := filepath.Join(t.TempDir(), "haproxy.cfg")
	require.NoError(t, os.WriteFile(settings, []byte(text.String()), 0o600))
	spawn(t, path, "-db", "-f", settings)

	return "tcp://" + address
}

// TestT126BehindLoadBalancer works through HAProxy, then loses a proxy that clients were connected
// to: whoever tries again succeeds. What is left of the proxies elects another primary.
//
// Requirements: T126, T129
func TestT126BehindLoadBalancer(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{Proxies: 3})
	balancer := startHAProxy(t, c.Proxies(), time.Hour)
	require.Eventually(t, func() bool {
		conn := dialled(t, c, balancer)
		return exists(t.Context(), conn, nil) != nil && conn.GetState().String() == "READY"
	}, wait, tick)

	dead := c.Proxies()[0]
	// Each client has a connection of its own.
	clients := map[*gitalypb.Repository]*grpc.ClientConn{}
	require.Eventually(t, func() bool {
		conn := dialled(t, c, balancer)
		repository := create(t, conn, fmt.Sprintf("r%d.git", len(clients)))
		require.NoError(t, write(t.Context(), conn, repository, "main"))
		clients[repository] = conn

		return len(clients) >= 6 && strings.Contains(scrape(t, dead.Metrics),
			`gitaly_praefect_method_types{method_type="mutator"}`)
	}, wait, tick, "some are on the proxy that is killed")

	require.NoError(t, dead.Process().Kill())
	began := time.Now()
	for repository, conn := range clients {
		outlast(t, func(ctx context.Context) error {
			if err := write(ctx, conn, repository, "other"); err != nil {
				return err
			}

			return exists(ctx, conn, repository)
		})
	}
	t.Logf("%d clients served again %s after one of three proxies was killed",
		len(clients), time.Since(began))

	for repository, conn := range clients {
		lost := primary(t, c, conn, repository)
		require.NoError(t, lost.Kill())
		outlast(t, func(ctx context.Context) error {
			return write(ctx, conn, repository, "elected")
		})
		require.NotEqual(t, lost, primary(t, c, conn, repository))

		break
	}
}

// TestT127NodesBehindLoadBalancer has nodes reach the cluster at the address of the balancer, as
// GitLab tells them when one repository is filled from another.
func TestT127NodesBehindLoadBalancer(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{Proxies: 2})
	balancer := startHAProxy(t, c.Proxies(), time.Hour)
	var conn *grpc.ClientConn
	require.Eventually(t, func() bool {
		conn = dialled(t, c, balancer)
		return exists(t.Context(), conn, nil) != nil && conn.GetState().String() == "READY"
	}, wait, tick)
	source := create(t, conn, "source.git")
	head := commitReadme(t, conn, source, "fetched by nodes")
	servers, err := json.Marshal(map[string]any{
		"default": map[string]string{"address": balancer, "token": c.Token()},
	})
	require.NoError(t, err)
	fork := &gitalypb.Repository{StorageName: "default", RelativePath: "fork.git"}
	_, err = gitalypb.NewRepositoryServiceClient(conn).CreateFork(
		metadata.AppendToOutgoingContext(t.Context(),
			"gitaly-servers", base64.StdEncoding.EncodeToString(servers)),
		&gitalypb.CreateForkRequest{Repository: fork, SourceRepository: source})
	require.NoError(t, err)
	awaitCurrent(t, conn, fork, 3)
	for _, node := range c.Nodes() {
		path := node.Path(recorded(t.Context(), t, conn, fork).GetReplicaPath())
		require.Equal(t, head, git(t, path, "rev-parse", "refs/heads/main"))
	}
}

// TestT128LongClone pushes and clones much through the balancer.
func TestT128LongClone(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{Proxies: 2})
	balancer := startHAProxy(t, c.Proxies(), time.Hour)
	url, end, err := c.Gateway(t.Context(), balancer)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, end()) })
	create(t, dialled(t, c, c.Proxy().Address), "large.git")
	user := t.TempDir()
	noise := make([]byte, 48<<20)
	source := rand.NewChaCha8([32]byte{})
	_, _ = source.Read(noise) // never fails
	require.NoError(t, os.WriteFile(filepath.Join(user, "noise"), noise, 0o600))
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"add", "noise"},
		{"commit", "--quiet", "-m", "noise"},
		{"push", "--quiet", url + "/large.git", "main"},
	} {
		git(t, user, append([]string{"-c", "core.compression=0"}, args...)...)
	}

	copied := t.TempDir()
	git(t, copied, "clone", "--quiet", url+"/large.git", "copy")
	git(t, filepath.Join(copied, "copy"), "fsck", "--full")
}

// TestT128SilentConnection has a call under way that says nothing for longer than the balancer
// lets a connection be silent. Clients that ping as often as they may keep theirs.
func TestT128SilentConnection(t *testing.T) {
	t.Parallel()
	const (
		pings   = 11 * time.Second // Ten is the least that servers have to bear.
		silence = 15 * time.Second
	)
	c := start(t, cluster.Config{})
	balancer := startHAProxy(t, c.Proxies(), silence)
	var dials atomic.Int32
	conn, err := cluster.Dial(balancer, c.Token(),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: pings, PermitWithoutStream: true,
		}),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			dials.Add(1)
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		}))
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // The test is over.
	outlast(t, func(ctx context.Context) error {
		_, err := gitalypb.NewServerServiceClient(conn).ServerInfo(ctx,
			&gitalypb.ServerInfoRequest{})

		return err
	})
	repository := create(t, conn, "silent.git")
	before := dials.Load()
	stream := beginCommit(t, conn, repository)
	select {
	case <-time.After(2 * silence):
	case <-stream.Context().Done():
	}
	require.NotEmpty(t, finishCommit(t, stream, "late"))
	require.NoError(t, exists(t.Context(), conn, repository))
	require.Equal(t, before, dials.Load(), "it is the same connection")
}
