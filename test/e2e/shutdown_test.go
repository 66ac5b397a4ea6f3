package e2e_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/health/grpc_health_v1"

	"praefect/test/cluster"
)

// TestStopWithIdleConnection stops a proxy on which nothing runs, while somebody has connected who
// never said a word.
func TestStopWithIdleConnection(t *testing.T) {
	t.Parallel()

	r := startRig(t)

	idle, err := dial(t.Context(), r.Proxy().Address)
	require.NoError(t, err)
	defer idle.Close() //nolint:errcheck // Nothing was written.

	const limit = 6 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	require.NoError(t, r.Proxy().Process().Terminate(ctx))
	require.Zero(t, r.Proxy().Process().ExitCode())
}

// dial opens a plain TCP connection.
func dial(ctx context.Context, address string) (net.Conn, error) {
	var dialer net.Dialer

	return dialer.DialContext(ctx, "tcp", strings.TrimPrefix(address, "tcp://"))
}

// TestStopFinishesWhatRuns sends SIGTERM in the middle of a push.
//
// Requirements: T121, T193
func TestStopFinishesWhatRuns(t *testing.T) {
	t.Parallel()

	r := startRig(t, withSwitchboards, withPatience)
	repo, user, release := r.stoppedPush(t)
	commit := user.mustGit(t, "rev-parse", "HEAD")

	pushing, err := startGroup(user.command(t.Context(), "push", "origin", "main"))
	require.NoError(t, err)
	r.boards[repo.primary(t).Storage].waitReached(t, repo.replicaPath, atPreReceive)

	process := r.Proxy().Process()
	require.NoError(t, process.Signal(syscall.SIGTERM))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := dial(t.Context(), r.Proxy().Address)
		require.ErrorIs(c, err, syscall.ECONNREFUSED)
	}, waitLong, tick)
	require.True(t, process.Running(), "it must wait for the push")

	release()
	require.NoError(t, pushing.wait(t), pushing.output())
	require.NoError(t, process.Wait(t.Context()))
	require.Zero(t, process.ExitCode(), process.LogTail())

	require.Len(t, repo.metadata(t).current(), len(r.Nodes()))
	repo.requireConsistent(t)
	require.Equal(t, commit, reference(t, r.Nodes()[0], repo.replicaPath, "refs/heads/main"))
}

// TestStopAfterGrace lets the grace period end while a node holds a reference locked: the proxy
// gives up with code 1, and nothing stays locked.
//
// Requirements: T194
func TestStopAfterGrace(t *testing.T) {
	t.Parallel()

	r := startRig(t, withSwitchboards,
		func(_ *testing.T, _ *rig, config *cluster.Config) { config.GracefulStop = time.Second })
	repo, user, release := r.stoppedPush(t)

	pushing, err := startGroup(user.command(t.Context(), "push", "origin", "main"))
	require.NoError(t, err)
	r.boards[repo.primary(t).Storage].waitReached(t, repo.replicaPath, atPreReceive)

	process := r.Proxy().Process()
	require.NoError(t, process.Signal(syscall.SIGTERM))
	require.NoError(t, process.Wait(t.Context()))
	require.Equal(t, 1, process.ExitCode(), process.LogTail())
	release()
	require.Error(t, pushing.wait(t))

	ctx, cancel := context.WithTimeout(t.Context(), waitLong)
	defer cancel()
	require.NoError(t, r.Proxy().Start(ctx))
	repo.requireWritable(t)
	repo.waitConverged(t)
}

// stoppedPush prepares a repository on whose primary the next push will stop at pre-receive.
func (r *rig) stoppedPush(t *testing.T) (repo *repository, user *checkout, release func()) {
	t.Helper()

	repo = r.createRepository(t)
	user = newCheckout(t, repo.remote())
	user.commit(t, "file", "one")
	user.mustGit(t, "push", "origin", "main")
	user.commit(t, "file", "two")

	return repo, user, r.boards[repo.primary(t).Storage].stopAt(t, repo.replicaPath, atPreReceive)
}

// TestStartWithoutDatabase starts a proxy whose PostgreSQL is not there.
func TestStartWithoutDatabase(t *testing.T) {
	t.Parallel()

	r := startRig(t)
	free, err := cluster.FreeAddress(t.Context())
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(free)
	require.NoError(t, err)

	// The host may be a socket's directory; both become the address where nobody listens.
	config, err := os.ReadFile(r.Proxy().ConfigFile)
	require.NoError(t, err)
	lines := strings.Split(string(config), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "host = ") {
			lines[i], lines[i+1] = `host = "127.0.0.1"`, "port = "+port
		}
		if strings.Contains(line, "listen_addr") || strings.HasPrefix(line, "socket_path") {
			lines[i] = ""
		}
	}
	lines[0] = `listen_addr = "127.0.0.1:0"`

	dir := t.TempDir()
	file := filepath.Join(dir, "config.toml")
	require.NoError(t, os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600))
	process, err := cluster.Spawn(cluster.Command{
		Path: suite.programs.Praefect, Args: []string{"-config", file},
		Log: filepath.Join(dir, "log"),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, process.Kill()) })

	ctx, cancel := context.WithTimeout(t.Context(), waitLong)
	defer cancel()
	require.NoError(t, process.Wait(ctx))
	require.Equal(t, 1, process.ExitCode())
	require.Contains(t, process.LogTail(), "connection refused")
	require.Contains(t, process.LogTail(), port)
}

// TestLeftOverSocket starts a proxy where a killed one has left its socket behind.
func TestLeftOverSocket(t *testing.T) {
	t.Parallel()

	r := startRig(t)
	require.NoError(t, r.Proxy().Process().Kill())
	path := strings.TrimPrefix(r.Proxy().Socket, "unix:")
	require.FileExists(t, path)

	ctx, cancel := context.WithTimeout(t.Context(), waitLong)
	defer cancel()
	require.NoError(t, r.Proxy().Start(ctx))

	conn, err := cluster.Dial(r.Proxy().Socket, r.Token())
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // Nothing is under way.
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx,
		&grpc_health_v1.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, grpc_health_v1.HealthCheckResponse_SERVING, answer.GetStatus())

	require.NoError(t, r.Proxy().Process().Terminate(ctx))
	require.NoFileExists(t, path, "a proxy that ends in order takes its socket away")
}
