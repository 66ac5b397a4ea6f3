package acceptance_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

// proxied connects to the first proxy of the guides' cluster.
func (g *guided) proxied(t *testing.T) *grpc.ClientConn {
	t.Helper()

	return dialled(t, g.Cluster, g.Proxies()[0].Address)
}

// TestT005SeveralVirtualStorages has the same path in three virtual storages. They are different
// repositories, each on the nodes of its own.
//
// Requirements: T001, T069
func TestT005SeveralVirtualStorages(t *testing.T) {
	t.Parallel()
	g := guide(t)
	conn := g.proxied(t)
	paths := map[string]bool{}
	for storage, nodes := range map[string][]string{
		"default": {"gitaly-1", "gitaly-2", "gitaly-3"}, "praefect": {"gitaly-4"},
		"pair": {"gitaly-5", "gitaly-6"},
	} {
		repository := createIn(t, conn, storage, "same.git")
		awaitCurrent(t, conn, repository, len(nodes))
		found := recorded(t.Context(), t, conn, repository)
		require.Equal(t, nodes, current(found))
		require.Contains(t, nodes, found.GetPrimary())
		paths[found.GetReplicaPath()] = true
	}
	require.Len(t, paths, 3)
	gone := &gitalypb.Repository{StorageName: "praefect", RelativePath: "same.git"}
	_, err := gitalypb.NewRepositoryServiceClient(conn).RemoveRepository(t.Context(),
		&gitalypb.RemoveRepositoryRequest{Repository: gone})
	require.NoError(t, err)
	require.Error(t, exists(t.Context(), conn, gone))
	for _, storage := range []string{"default", "pair"} {
		require.NoError(t, exists(t.Context(), conn,
			&gitalypb.Repository{StorageName: storage, RelativePath: "same.git"}))
	}
}

// TestT007OneAndTwoNodes creates, writes and reads where there are one or two nodes.
func TestT007OneAndTwoNodes(t *testing.T) {
	t.Parallel()
	g := guide(t)
	conn := g.proxied(t)
	for storage, nodes := range map[string]int{"praefect": 1, "pair": 2} {
		repository := createIn(t, conn, storage, "few.git")
		require.NoError(t, write(t.Context(), conn, repository, "main"))
		require.NoError(t, exists(t.Context(), conn, repository))
		awaitCurrent(t, conn, repository, nodes)
	}
}

// TestT012PortsOfTheGuides reaches a proxy on ports 2305 and 3305 and its metrics on 9652, and the
// proxy reaches its nodes on port 8075, with TLS on 9999, and on a socket.
//
// Requirements: T013, T014, T071, T072, T073, T130
func TestT012PortsOfTheGuides(t *testing.T) {
	t.Parallel()
	g := guide(t)
	plain := dialled(t, g.Cluster, "tcp://"+net.JoinHostPort(g.ip, "2305"))
	secured, err := cluster.Dial("tcp://"+net.JoinHostPort(g.ip, "3305"), external,
		grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(g.own.Pool(), g.ip)))
	require.NoError(t, err)
	defer secured.Close() //nolint:errcheck // The test is over.
	repository := create(t, plain, "ports.git")
	require.NoError(t, write(t.Context(), secured, repository, "main"))
	awaitCurrent(t, secured, repository, 3)

	listed := praefect(t, g.environment, "-config", g.Proxies()[1].ConfigFile, "list-storages")
	for _, address := range []string{
		"tcp://" + net.JoinHostPort(g.near(11), "8075"),
		"tls://" + net.JoinHostPort(g.near(12), "9999"), "unix:/",
	} {
		require.Contains(t, listed.stdout, address)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		"http://"+net.JoinHostPort(g.ip, "9652")+"/metrics", nil)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode)
}

// TestT063AllInterfaces reaches a proxy that listens on 0.0.0.0 at several addresses.
func TestT063AllInterfaces(t *testing.T) {
	t.Parallel()
	g := guide(t)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(g.Proxies()[0].Address, "tcp://"))
	require.NoError(t, err)
	for _, ip := range []string{"127.0.0.1", "127.0.0.2", g.near(77)} {
		conn := dialled(t, g.Cluster, "tcp://"+net.JoinHostPort(ip, port))
		_, err := gitalypb.NewServerServiceClient(conn).ServerInfo(t.Context(),
			&gitalypb.ServerInfoRequest{})
		require.NoError(t, err)
	}
}

// TestT019TokensOfNodes calls nodes without the proxy: each wants the token of its own.
//
// Requirements: T020, T021
func TestT019TokensOfNodes(t *testing.T) {
	t.Parallel()
	g := guide(t)
	for i, node := range g.Nodes() {
		for token, code := range map[string]codes.Code{
			external:                              codes.PermissionDenied,
			fmt.Sprintf("INTERNAL_%d", i+1):       codes.OK,
			fmt.Sprintf("INTERNAL_%d", (i+1)%3+1): codes.PermissionDenied,
		} {
			conn, err := cluster.Dial(node.Address, token)
			require.NoError(t, err)
			_, err = gitalypb.NewServerServiceClient(conn).ServerInfo(t.Context(),
				&gitalypb.ServerInfoRequest{})
			require.Equal(t, code, status.Code(err), "%s at %s", token, node.Storage)
			require.NoError(t, conn.Close())
		}
	}
	conn := g.proxied(t)
	repository := create(t, conn, "tokens.git")
	require.NoError(t, write(t.Context(), conn, repository, "main"))
	awaitCurrent(t, conn, repository, 3)
}

// TestT090TrustOfCommands runs commands that reach a node over TLS. They trust what SSL_CERT_FILE
// and SSL_CERT_DIR name, and nothing else.
//
// Requirements: T021, T088, T090, T091, T092
func TestT090TrustOfCommands(t *testing.T) {
	t.Parallel()
	g := guide(t)
	file := g.Proxies()[0].ConfigFile
	directory := t.TempDir()
	content, err := os.ReadFile(g.files.Authority)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(directory, "ca.pem"), content, 0o644))
	empty := t.TempDir()
	for name, tc := range map[string]struct {
		environment []string
		trusted     bool
	}{
		"file":      {[]string{"SSL_CERT_FILE=" + g.files.Authority}, true},
		"directory": {[]string{"SSL_CERT_FILE=/dev/null", "SSL_CERT_DIR=" + directory}, true},
		"neither":   {[]string{"SSL_CERT_FILE=/dev/null", "SSL_CERT_DIR=" + empty}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dialled := praefect(t, tc.environment, "-config", file, "dial-nodes")
			listed := praefect(t, tc.environment, "-config", file,
				"list-untracked-repositories", "-older-than", "1h")
			if tc.trusted {
				require.Zero(t, dialled.code, dialled)
				require.Equal(t, 6, strings.Count(dialled.stdout,
					"SUCCESS: node configuration is consistent!"), dialled.stdout)
				require.Zero(t, listed.code, listed)

				return
			}
			require.Equal(t, 1, dialled.code)
			secured := "tls://" + net.JoinHostPort(g.near(12), "9999")
			require.Contains(t, dialled.stdout, "["+secured+"]: ERROR: ")
			require.Contains(t, dialled.stdout, "certificate signed by unknown authority")
			require.Equal(t, "the following nodes are not healthy: "+secured+"\n", dialled.stderr)
			require.Equal(t, 1, listed.code)
			require.Contains(t, listed.stderr, "certificate signed by unknown authority")
		})
	}
}

// TestT070StorageOfAnotherName expects a storage at a node that calls it otherwise.
func TestT070StorageOfAnotherName(t *testing.T) {
	t.Parallel()
	g := guide(t)
	text := strings.Replace(g.text(t, g.Proxies()[0]), `"gitaly-1"`, `"gitaly-one"`, 1)
	dialled := praefect(t, g.environment, "-config", written(t, text), "dial-nodes")
	require.Equal(t, 1, dialled.code)
	require.Contains(t, dialled.stdout,
		`ERROR: configured storage was not reported by remote: "gitaly-one"`)
	require.Contains(t, dialled.stderr, net.JoinHostPort(g.near(11), "8075"))
}

// TestT046FewConnections counts the sessions of two proxies while clients write.
func TestT046FewConnections(t *testing.T) {
	t.Parallel()
	const (
		clients = 40
		most    = 2 * (20 + 1) // For each proxy the pool, and one session to listen.
	)
	g := guide(t)
	conn := g.proxied(t)
	var writing sync.WaitGroup
	for i := range clients {
		repository := createIn(t, conn, "praefect", fmt.Sprintf("sessions-%d.git", i))
		writing.Go(func() { assert.NoError(t, write(t.Context(), conn, repository, "main")) })
	}
	require.LessOrEqual(t, sessions(t, "guided", ""), most)
	writing.Wait()
	require.LessOrEqual(t, sessions(t, "guided", ""), most)
	require.Eventually(t, func() bool { return sessions(t, "guided", "LISTEN") == 2 }, wait, tick)
}

// TestT084Environment gives the programs a name of a time server that there is not, as the package
// may: nothing depends on it.
//
// Requirements: T085
func TestT084Environment(t *testing.T) {
	t.Parallel()
	g := guide(t)
	for _, proxy := range g.Proxies() {
		environment, err := os.ReadFile(
			filepath.Join("/proc", strconv.Itoa(proxy.Process().PID()), "environ"))
		require.NoError(t, err)
		require.Contains(t, string(environment), "NTP_HOST=ntp.invalid\x00")
		require.NotContains(t, proxyLog(t, g.Cluster, proxy), "ntp.invalid")
	}
	repository := create(t, g.proxied(t), "time.git")
	require.NoError(t, write(t.Context(), g.proxied(t), repository, "main"))
}

// TestT156Defaults reads what is logged at the start, where the file says nothing.
//
// Requirements: T052, T170
func TestT156Defaults(t *testing.T) {
	t.Parallel()
	g := guide(t)
	log := proxyLog(t, g.Cluster, g.Proxies()[0])
	require.Contains(t, log, `"msg":"background verifier started"`)
	require.Contains(t, log, `"verification_interval":"168h0m0s"`)
	require.Contains(t, log, `"delete_invalid_records":true`)
	require.Contains(t, log, "reads distribution caching is enabled by configuration")
}

// TestT177PrimariesOfRepositories asks for a strategy of former releases: each repository still has
// a primary of its own, and they are spread.
//
// Requirements: T074, T155, T188
func TestT177PrimariesOfRepositories(t *testing.T) {
	t.Parallel()
	const repositories = 30
	g := guide(t)
	require.Contains(t, g.text(t, g.Proxies()[0]), `election_strategy = "sql"`)
	require.Contains(t, g.text(t, g.Proxies()[0]), "primary = true")
	require.Contains(t, proxyLog(t, g.Cluster, g.Proxies()[0]), `"key":"failover"`)
	conn := g.proxied(t)
	primaries := map[string]int{}
	for i := range repositories {
		repository := create(t, conn, fmt.Sprintf("spread-%d.git", i))
		primaries[recorded(t.Context(), t, conn, repository).GetPrimary()]++
	}
	require.Len(t, primaries, 3, primaries)
	changed := praefect(t, g.environment, "-config", g.Proxies()[0].ConfigFile,
		"set-replication-factor", "-virtual-storage", "default",
		"-repository", "spread-0.git", "-replication-factor", "2")
	require.Zero(t, changed.code, changed)
	first := recorded(t.Context(), t, conn,
		&gitalypb.Repository{StorageName: "default", RelativePath: "spread-0.git"})
	require.Contains(t, changed.stdout, first.GetPrimary(), "the repository's own")
	require.Equal(t, "current assignments: "+strings.Join(assigned(first), ", ")+"\n",
		changed.stdout)
}

// TestT131ProjectWithReadme creates a project with a README, as GitLab does, and looks at it.
//
// Requirements: T132
func TestT131ProjectWithReadme(t *testing.T) {
	t.Parallel()
	g := guide(t)
	conn := g.proxied(t)
	repository := create(t, conn, "project.git")
	commit := commitReadme(t, conn, repository, "# Hello\n")
	awaitCurrent(t, conn, repository, 3)
	found, err := gitalypb.NewCommitServiceClient(conn).FindCommit(t.Context(),
		&gitalypb.FindCommitRequest{Repository: repository, Revision: []byte("main")})
	require.NoError(t, err)
	require.Equal(t, commit, found.GetCommit().GetId())

	dir := t.TempDir()
	git(t, dir, "clone", "--quiet", "--branch=main", g.GitURL("project.git"), ".")
	content, err := os.ReadFile(filepath.Join(dir, "README.md"))
	require.NoError(t, err)
	require.Equal(t, "# Hello\n", string(content))
	git(t, dir, "commit", "--quiet", "--allow-empty", "-m", "more")
	git(t, dir, "push", "--quiet", "origin", "HEAD:main")
	require.Equal(t, git(t, dir, "rev-parse", "HEAD"),
		strings.Fields(git(t, dir, "ls-remote", "origin", "refs/heads/main"))[0])
}

// TestT133RepositoryIsMoved moves a repository of a node outside of the cluster into it, as GitLab
// does when an operator moves projects between storages: the proxy's nodes fetch it from there.
//
// Requirements: T111
func TestT133RepositoryIsMoved(t *testing.T) {
	t.Parallel()
	g := guide(t)
	node := g.Outside()[3]
	direct, err := cluster.Dial(node.Address, "PLAIN")
	require.NoError(t, err)
	defer direct.Close() //nolint:errcheck // The test is over.
	source := createIn(t, direct, outsider, "old.git")
	commitReadme(t, direct, source, "moved")

	servers, err := json.Marshal(map[string]map[string]string{
		outsider: {"address": node.Address, "token": "PLAIN"},
	})
	require.NoError(t, err)
	ctx := metadata.AppendToOutgoingContext(t.Context(),
		"gitaly-servers", base64.StdEncoding.EncodeToString(servers))
	conn := g.proxied(t)
	moved := &gitalypb.Repository{StorageName: "default", RelativePath: "moved.git"}
	_, err = gitalypb.NewRepositoryServiceClient(conn).ReplicateRepository(ctx,
		&gitalypb.ReplicateRepositoryRequest{Repository: moved, Source: source})
	require.NoError(t, err)
	awaitCurrent(t, conn, moved, 3)
	sum := func(conn grpc.ClientConnInterface, repository *gitalypb.Repository) string {
		answer, err := gitalypb.NewRepositoryServiceClient(conn).CalculateChecksum(t.Context(),
			&gitalypb.CalculateChecksumRequest{Repository: repository})
		require.NoError(t, err)

		return answer.GetChecksum()
	}
	require.Equal(t, sum(direct, source), sum(conn, moved))
	path := recorded(t.Context(), t, conn, moved).GetReplicaPath()
	for _, node := range g.Nodes() {
		assert.Equal(t, git(t, g.Outside()[3].Path("old.git"), "rev-parse", "main"),
			git(t, node.Path(path), "rev-parse", "main"), node.Storage)
	}
}
