package acceptance_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/test/cluster"
)

// startHAProxy spreads connections over proxies, fewest first, and returns where it listens.
func startHAProxy(t *testing.T, proxies []*cluster.Proxy) string {
	t.Helper()
	path := installed(t, "haproxy", "haproxy")
	address, err := cluster.FreeAddress(t.Context())
	require.NoError(t, err)
	var text strings.Builder
	fmt.Fprintf(&text, `defaults
  mode tcp
  balance leastconn
  timeout connect 2s
  timeout client 1h
  timeout server 1h
  option redispatch
  retries 3
listen praefect
  bind %s
  default-server check inter 200ms fall 1 rise 1 on-marked-down shutdown-sessions
`, address)
	for _, proxy := range proxies {
		fmt.Fprintf(&text, "  server %s %s\n",
			proxy.Name, strings.TrimPrefix(proxy.Address, "tcp://"))
	}
	settings := filepath.Join(t.TempDir(), "haproxy.cfg")
	require.NoError(t, os.WriteFile(settings, []byte(text.String()), 0o600))
	spawn(t, path, "-db", "-f", settings)

	return "tcp://" + address
}

// TestT126BehindLoadBalancer works through HAProxy, then loses a proxy: whoever tries again
// succeeds, and so do writes to what was written before.
//
// Requirements: T126, T127, T129
func TestT126BehindLoadBalancer(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{Proxies: 3})
	balancer := startHAProxy(t, c.Proxies())
	require.Eventually(t, func() bool {
		conn := dialled(t, c, balancer)
		return exists(t.Context(), conn, nil) != nil && conn.GetState().String() == "READY"
	}, wait, tick)

	for i := range 6 { // Each client has a connection of its own.
		conn := dialled(t, c, balancer)
		repository := create(t, conn, fmt.Sprintf("r%d.git", i))
		require.NoError(t, write(t.Context(), conn, repository, "main"))
	}
	conn := dialled(t, c, balancer)
	repository := create(t, conn, "survives.git")

	require.NoError(t, c.Proxies()[0].Process().Kill())
	began := time.Now()
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()

		return write(ctx, conn, repository, "other") == nil &&
			exists(ctx, conn, repository) == nil
	}, wait, tick)
	t.Logf("served again %s after one of three proxies was killed", time.Since(began))
}
