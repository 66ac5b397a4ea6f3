package boot_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"praefect/cmd/internal/boot"
	"praefect/cmd/internal/configfile"
	"praefect/coordinator/postgres"
	"praefect/proxy/gitalypb"
	"praefect/test/pgtest"
)

const (
	startWait = 20 * time.Second
	stopWait  = 6 * time.Second
	tick      = 10 * time.Millisecond
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// configure returns a configuration with a socket and a single node that does not exist.
func configure(t *testing.T, database postgres.Config) *configfile.File {
	t.Helper()

	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	require.NoError(t, os.WriteFile(path, []byte(`
listen_addr = "127.0.0.1:0"
socket_path = "`+filepath.Join(dir, "s")+`"
[[virtual_storage]]
name = "default"
[[virtual_storage.node]]
storage = "gitaly-1"
address = "unix:/nonexistent/gitaly.socket"
`), 0o600))
	loaded, err := configfile.Load(path)
	require.NoError(t, err)
	require.NoError(t, loaded.Validate())

	port, err := strconv.Atoi(database.Port)
	require.NoError(t, err)
	loaded.Database.Endpoint = configfile.Endpoint{
		Host: database.Host, Port: port, User: database.User, DBName: database.DBName,
		Password: configfile.Secret(database.Password), SSLMode: database.SSLMode,
	}

	return &loaded.File
}

// running is a server in the background.
type running struct {
	file  *configfile.File
	stop  func()
	force chan struct{}
	done  chan error
}

func start(t *testing.T, file *configfile.File) *running {
	t.Helper()

	ctx, cancel := context.WithCancel(t.Context())
	r := &running{
		file: file, stop: cancel, force: make(chan struct{}), done: make(chan error, 1),
	}
	go func() {
		r.done <- boot.Run(ctx, zap.NewNop(), boot.Options{
			Config: file, Version: "v1", Force: r.force,
		})
	}()
	t.Cleanup(cancel)

	return r
}

// dial waits until the server listens and connects to its socket.
func (r *running) dial(t *testing.T) net.Conn {
	t.Helper()

	var conn net.Conn
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var err error
		conn, err = net.Dial("unix", r.file.SocketPath)
		require.NoError(c, err)
	}, startWait, tick)

	return conn
}

func (r *running) wait(t *testing.T, limit time.Duration) error {
	t.Helper()

	select {
	case err := <-r.done:
		return err
	case <-time.After(limit):
		require.Fail(t, "the server does not end")

		return nil
	}
}

// TestRun serves without a single node, and ends in time although a client that said nothing yet
// and one that made calls are connected.
func TestRun(t *testing.T) {
	t.Parallel()

	r := start(t, configure(t, pgtest.Migrated(t)))
	silent := r.dial(t)
	defer silent.Close() //nolint:errcheck // It was only held.

	conn, err := grpc.NewClient("unix:"+r.file.SocketPath,
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // The server is gone by then.

	health, err := grpc_health_v1.NewHealthClient(conn).Check(
		t.Context(), &grpc_health_v1.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, grpc_health_v1.HealthCheckResponse_SERVING, health.GetStatus())

	ready, err := gitalypb.NewServerServiceClient(conn).ReadinessCheck(
		t.Context(), &gitalypb.ReadinessCheckRequest{})
	require.NoError(t, err)
	failed := ready.GetFailureResponse().GetFailedChecks()
	require.Len(t, failed, 1)
	require.Equal(t, "gitaly node connectivity & disk access", failed[0].GetName())
	require.Contains(t, failed[0].GetErrorMessage(), "gitaly-1")

	r.stop()
	require.NoError(t, r.wait(t, stopWait))
	require.NoFileExists(t, r.file.SocketPath)
}

// TestSecondStart starts a server a second time by mistake: the second one says so, and the first
// keeps its lease.
func TestSecondStart(t *testing.T) {
	t.Parallel()

	database := pgtest.Migrated(t)
	r := start(t, configure(t, database))
	require.NoError(t, r.dial(t).Close())
	conn, err := pgx.Connect(t.Context(), pgtest.Server(t).DSN(database.DBName))
	require.NoError(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // It only read.
	lease := func() (incarnation int64) {
		require.NoError(t, conn.QueryRow(t.Context(),
			"SELECT incarnation FROM praefect.proxies WHERE lease_ends_at > now()",
		).Scan(&incarnation))

		return incarnation
	}
	before := lease()

	second := start(t, r.file)
	require.ErrorContains(t, second.wait(t, startWait), "another process serves on this socket")
	require.Equal(t, before, lease())

	r.stop()
	require.NoError(t, r.wait(t, stopWait))
}

func TestMetrics(t *testing.T) {
	t.Parallel()

	// A port that was just free: the configuration says it, so it cannot be chosen while binding.
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := probe.Addr().String()
	require.NoError(t, probe.Close())

	file := configure(t, pgtest.Migrated(t))
	file.PrometheusListenAddr = address
	r := start(t, file)
	require.NoError(t, r.dial(t).Close())

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	symbol, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		"http://"+address+"/debug/pprof/symbol", strings.NewReader("0x1"))
	require.NoError(t, err)
	answer, err := client.Do(symbol)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode, "tools post to it")
	for path, contents := range map[string][]string{
		"/metrics": {
			`gitlab_build_info{version="v1"} 1`, "go_goroutines", "process_cpu_seconds_total",
			`gitaly_praefect_connections_total{type="unix"}`,
		},
		"/debug/pprof/":                  {"goroutine"},
		"/debug/pprof/goroutine?debug=1": {"goroutine profile"},
		"/debug/pprof/cmdline":           {"boot.test"},
	} {
		// The connection that was made may not be counted yet.
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			request, err := http.NewRequestWithContext(
				t.Context(), http.MethodGet, "http://"+address+path, nil)
			require.NoError(c, err)
			response, err := client.Do(request)
			require.NoError(c, err)
			body, err := io.ReadAll(response.Body)
			require.NoError(c, err)
			require.NoError(c, response.Body.Close())
			for _, content := range contents {
				assert.Contains(c, string(body), content, path)
			}
		}, startWait, 10*time.Millisecond)
	}

	r.stop()
	require.NoError(t, r.wait(t, stopWait))
}

// TestRunFails asserts that what is missing at the start is told at once, and that nothing is left
// running.
func TestRunFails(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		change func(t *testing.T, file *configfile.File)
		want   string
	}{
		"no database": {
			func(_ *testing.T, file *configfile.File) { file.Database.Host = "/nonexistent" },
			"start database: sql open: send ping: failed to connect",
		},
		"not migrated": {
			func(t *testing.T, file *configfile.File) {
				t.Helper()
				file.Database.DBName = pgtest.Empty(t).DBName
			},
			"run praefect sql-migrate",
		},
		"no certificate": {
			func(_ *testing.T, file *configfile.File) { file.TLSListenAddr = "127.0.0.1:0" },
			"start certificates: load certificate key pair: tls_listen_addr needs ",
		},
		"address taken": {
			func(t *testing.T, file *configfile.File) {
				t.Helper()
				taken, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, taken.Close()) })
				file.ListenAddr = taken.Addr().String()
			},
			"start addresses: can't create new listener: ",
		},
		"metrics address taken": {
			func(_ *testing.T, file *configfile.File) { file.PrometheusListenAddr = "256.0.0.1:1" },
			"start metrics: can't create new listener: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			file := configure(t, pgtest.Migrated(t))
			tc.change(t, file)
			r := start(t, file)
			require.ErrorContains(t, r.wait(t, startWait), tc.want)
		})
	}
}
