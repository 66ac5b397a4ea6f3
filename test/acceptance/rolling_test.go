package acceptance_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

// load is clients that read and write without a pause, and do not repeat calls that fail.
type load struct {
	stop    context.CancelFunc
	running sync.WaitGroup
	calls   atomic.Int64

	mu     sync.Mutex // guards failed
	failed []error
}

// startLoad gives each client a repository of its own: what it waits for is its proxy alone.
func startLoad(t *testing.T, conns []*grpc.ClientConn) *load {
	t.Helper()
	var repositories []*gitalypb.Repository
	for client, conn := range conns {
		repositories = append(repositories, create(t, conn, fmt.Sprintf("busy-%d.git", client)))
	}
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stop: stop}
	for client, conn := range conns {
		repository := repositories[client]
		l.running.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				// The calls themselves do not end with the load.
				err := exists(context.WithoutCancel(ctx), conn, repository)
				if i%4 == 0 && err == nil {
					err = write(context.WithoutCancel(ctx), conn, repository,
						fmt.Sprintf("branch-%d-%d", client, i))
				}
				l.calls.Add(1)
				if err != nil {
					l.mu.Lock()
					l.failed = append(l.failed, fmt.Errorf("client %d: %w", client, err))
					l.mu.Unlock()
				}
			}
		})
	}

	return l
}

// end returns the calls that failed.
func (l *load) end() []error {
	l.stop()
	l.running.Wait()

	return l.failed
}

// TestT195RollingReplacement replaces three proxies one after the other while clients read and
// write, by SIGHUP as the wrapper of the existing release sends it. No call fails, and the file
// with the process id names the new process.
//
// Requirements: T121, T195
func TestT195RollingReplacement(t *testing.T) {
	t.Parallel()
	pidFiles := t.TempDir()
	c := start(t, cluster.Config{
		Proxies: 3, Env: []string{"GITALY_UPGRADES_ENABLED=true"},
		ProxyEnv: func(name string) []string {
			return []string{"GITALY_PID_FILE=" + filepath.Join(pidFiles, name)}
		},
	})
	named := func(proxy *cluster.Proxy) int {
		content, err := os.ReadFile(filepath.Join(pidFiles, proxy.Name))
		require.NoError(t, err)
		pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
		require.NoError(t, err)

		return pid
	}
	var conns []*grpc.ClientConn
	for _, proxy := range c.Proxies() {
		killGroup(t, proxy)
		conns = append(conns, dialled(t, c, proxy.Address), dialled(t, c, proxy.Socket))
	}
	running := startLoad(t, conns)

	for _, proxy := range c.Proxies() {
		before := running.calls.Load()
		require.Equal(t, proxy.Process().PID(), named(proxy))
		require.NoError(t, proxy.Process().Signal(syscall.SIGHUP))
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		require.NoError(t, proxy.Process().Wait(ctx), "the old process ends")
		cancel()
		require.Zero(t, proxy.Process().ExitCode())
		require.Contains(t, proxyLog(t, c, proxy), "Upgrade succeeded")
		successor := named(proxy)
		require.NotEqual(t, proxy.Process().PID(), successor)
		program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", successor))
		require.NoError(t, err, "it runs")
		require.Equal(t, suite.programs.Praefect, program)
		require.Eventually(t, func() bool { return running.calls.Load() > before+60 }, wait, tick)
	}
	failed := running.end()
	t.Logf("%d calls, %d failed", running.calls.Load(), len(failed))
	require.Empty(t, failed)
}
