package acceptance_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"

	"praefect/proxy/auth"
	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

// nameServer is dnsmasq with a file of addresses.
type nameServer struct {
	address, hosts string
	process        *cluster.Process
}

func startNameServer(t *testing.T, records string, options ...string) *nameServer {
	t.Helper()
	path := installed(t, "dnsmasq", "dnsmasq-base")
	address, err := cluster.FreeAddress(t.Context())
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	s := &nameServer{address: address, hosts: filepath.Join(t.TempDir(), "hosts")}
	require.NoError(t, os.WriteFile(s.hosts, []byte(records), 0o644))
	s.process = spawn(t, path, append([]string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
		"--pid-file", "--listen-address=127.0.0.1", "--bind-interfaces", "--port=" + port,
		"--addn-hosts=" + s.hosts,
	}, options...)...)

	return s
}

// resolver asks the server.
func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(
		ctx context.Context, network, _ string,
	) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.address)
	}}
}

// moveTo lets a proxy listen on another address.
func moveTo(t *testing.T, proxy *cluster.Proxy, address string) {
	t.Helper()
	proxy.Address = "tcp://" + address
	restart(t, proxy, func(text string) string { return set(text, "listen_addr", address) })
}

// TestT114SeveralProxiesBehindOneName has three proxies under one name of a name server. Debian has
// no Consul: dnsmasq answers as Consul's DNS does, with the addresses of all that are registered.
// Clients reach all of them, and go on when one is taken out of the name and stopped.
//
// Requirements: T114, T115, T117, T118, T120, T122, T123
func TestT114SeveralProxiesBehindOneName(t *testing.T) {
	t.Parallel()
	const name = "praefect.service.consul"
	c := start(t, cluster.Config{Proxies: 3, GracefulStop: wait})
	free, err := cluster.FreeAddress(t.Context())
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(free)
	require.NoError(t, err)
	var records []string
	for i, proxy := range c.Proxies() {
		ip := fmt.Sprintf("127.0.0.%d", 2+i)
		moveTo(t, proxy, net.JoinHostPort(ip, port))
		records = append(records, ip+" "+name)
	}
	server := startNameServer(t, strings.Join(records, "\n")+"\n",
		"--srv-host=only.service.consul,127.0.0.2,"+port)
	server.requireAnswers(t, name)

	conn, err := grpc.NewClient("dns://"+server.address+"/"+name+":"+port,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(auth.Credentials(c.Token(), nil)),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`))
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // The test is over.

	repository := create(t, conn, "spread.git")
	reached := func() map[string]bool {
		found := map[string]bool{}
		for i := range 30 {
			require.NoError(t, write(t.Context(), conn, repository, fmt.Sprintf("b%d", i)))
			// Calls go round: as many after each write would always meet the same proxies.
			for range 1 + i%2 {
				var from peer.Peer
				_, err := gitalypb.NewRepositoryServiceClient(conn).RepositoryExists(t.Context(),
					&gitalypb.RepositoryExistsRequest{Repository: repository}, grpc.Peer(&from))
				require.NoError(t, err)
				found[from.Addr.String()] = true
			}
		}
		return found
	}
	require.Eventually(t, func() bool { return len(reached()) == 3 }, wait, tick)

	// Calls are under way on all proxies, also on the one that goes.
	finish := beginCommits(t, conn)
	leaving := c.Proxies()[0]
	require.Eventually(t, func() bool { return inFlight(t, leaving) > 0 }, wait, tick)
	server.serve(t, strings.Join(records[1:], "\n")+"\n")
	require.NoError(t, leaving.Process().Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool { return len(reached()) == 2 }, wait, tick, "no call fails")
	require.True(t, leaving.Process().Running(), "it waits for what is under way")
	finish()
	require.NoError(t, leaving.Process().Wait(t.Context()))
	require.Zero(t, leaving.Process().ExitCode())
}

// requireAnswers waits for three addresses of a name, and asserts that one with nothing but SRV
// records has none.
func (s *nameServer) requireAnswers(t *testing.T, name string) {
	t.Helper()
	require.Eventually(t, func() bool {
		found, err := s.resolver().LookupHost(t.Context(), name)
		return err == nil && len(found) == 3
	}, wait, tick)
	_, err := s.resolver().LookupHost(t.Context(), "only.service.consul")
	require.Error(t, err)
}

// serve replaces the records.
func (s *nameServer) serve(t *testing.T, records string) {
	t.Helper()
	require.NoError(t, os.WriteFile(s.hosts, []byte(records), 0o644))
	require.NoError(t, s.process.Signal(syscall.SIGHUP))
}

// beginCommits has several calls under way until the returned function ends them.
func beginCommits(t *testing.T, conn *grpc.ClientConn) (finish func()) {
	t.Helper()
	var commits []commit
	for i := range 6 {
		under := create(t, conn, fmt.Sprintf("under-way-%d.git", i))
		commits = append(commits, beginCommit(t, conn, under))
	}

	return func() {
		t.Helper()
		for i, stream := range commits {
			require.NotEmpty(t, finishCommit(t, stream, fmt.Sprintf("content %d", i)))
		}
	}
}

// inFlight is how many calls a proxy carries in which clients send more than one message.
func inFlight(t *testing.T, proxy *cluster.Proxy) int {
	t.Helper()
	found := regexp.MustCompile(
		`(?m)^gitaly_praefect_calls_in_flight\{method_type="client_stream"\} (\d+)$`).
		FindStringSubmatch(scrape(t, proxy.Metrics))
	if found == nil { // There was none so far.
		return 0
	}
	count, err := strconv.Atoi(found[1])
	require.NoError(t, err)

	return count
}

// TestT125NodesByName has nodes whose addresses are names, in all spellings, with and without an
// authority.
//
// Requirements: T112, T113, T125
func TestT125NodesByName(t *testing.T) {
	t.Parallel()
	server := startNameServer(t, "127.0.0.1 gitaly.internal\n")
	spellings := []string{
		"dns:localhost:", "dns:///localhost:",
		"dns://" + server.address + "/gitaly.internal:",
	}
	next := 0
	c := start(t, cluster.Config{
		NodeAddress: func(address string) string {
			_, port, _ := strings.Cut(strings.TrimPrefix(address, "tcp://"), ":")
			next++
			return spellings[(next-1)%len(spellings)] + port
		},
	})
	_, port, err := net.SplitHostPort(strings.TrimPrefix(c.Proxy().Address, "tcp://"))
	require.NoError(t, err)
	for i, target := range []string{"dns:localhost:" + port, "dns:///localhost:" + port} {
		conn, err := grpc.NewClient(target,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithPerRPCCredentials(auth.Credentials(c.Token(), nil)))
		require.NoError(t, err)
		repository := create(t, conn, fmt.Sprintf("named-%d.git", i))
		require.NoError(t, write(t.Context(), conn, repository, "main"))
		require.NoError(t, conn.Close())
	}
}

// TestT116AddressesOfTheSixthVersion has a proxy whose name has nothing but an AAAA record.
func TestT116AddressesOfTheSixthVersion(t *testing.T) {
	t.Parallel()
	const name = "praefect6.service.consul"
	c := start(t, cluster.Config{})
	_, port, err := net.SplitHostPort(strings.TrimPrefix(c.Proxy().Address, "tcp://"))
	require.NoError(t, err)
	moveTo(t, c.Proxy(), net.JoinHostPort("::1", port))
	server := startNameServer(t, "::1 "+name+"\n")
	require.Eventually(t, func() bool {
		found, err := server.resolver().LookupHost(t.Context(), name)
		return err == nil && len(found) == 1 && found[0] == "::1"
	}, wait, tick)
	conn, err := grpc.NewClient("dns://"+server.address+"/"+name+":"+port,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(auth.Credentials(c.Token(), nil)))
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // The test is over.
	require.NoError(t, write(t.Context(), conn, create(t, conn, "six.git"), "main"))
}
