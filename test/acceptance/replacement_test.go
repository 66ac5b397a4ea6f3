package acceptance_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"praefect/test/cluster"
)

// killGroup ends a proxy's successors with the test; the harness knows the first process only.
func killGroup(t *testing.T, proxy *cluster.Proxy) {
	t.Helper()
	first := proxy.Process()
	t.Cleanup(func() { assert.NoError(t, first.Kill()) })
}

// TestReplacementThatFails gives the successor a file that it refuses: the old process serves on.
func TestReplacementThatFails(t *testing.T) {
	t.Parallel()
	pidFile := filepath.Join(t.TempDir(), "praefect.pid")
	c := start(t, cluster.Config{Env: []string{
		"PRAEFECT_UPGRADES_ENABLED=true", "PRAEFECT_PID_FILE=" + pidFile,
	}})
	proxy := c.Proxy()
	killGroup(t, proxy)
	named := func() string {
		content, err := os.ReadFile(pidFile)
		require.NoError(t, err)
		return strings.TrimSpace(string(content))
	}
	require.Equal(t, strconv.Itoa(proxy.Process().PID()), named())
	good, err := os.ReadFile(proxy.ConfigFile)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(proxy.ConfigFile, []byte("listen_addr = 1"), 0o600))

	require.NoError(t, proxy.Process().Signal(syscall.SIGHUP))
	require.Eventually(t, func() bool {
		return strings.Contains(proxyLog(t, c, proxy), "Upgrade failed")
	}, wait, tick)
	require.True(t, proxy.Process().Running())
	repository := create(t, dialled(t, c, proxy.Address), "served.git")

	require.NoError(t, os.WriteFile(proxy.ConfigFile, good, 0o600))
	require.NoError(t, proxy.Process().Signal(syscall.SIGHUP))
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	require.NoError(t, proxy.Process().Wait(ctx))
	require.NotEqual(t, strconv.Itoa(proxy.Process().PID()), named())
	require.NoError(t, exists(t.Context(), dialled(t, c, proxy.Socket), repository))
}
