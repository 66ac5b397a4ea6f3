package acceptance_test

import (
	"context"
	"fmt"
	"math/rand/v2"
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

// TestT128LongClone pushes and clones much through the balancer.
func TestT128LongClone(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{Proxies: 2})
	balancer := startHAProxy(t, c.Proxies())
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
