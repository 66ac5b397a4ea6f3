package acceptance_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"praefect/coordinator/postgres/pgserver"
	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

const (
	// wait bounds the waits for something that takes a moment on a busy machine.
	wait = 2 * time.Minute
	tick = 50 * time.Millisecond
)

// shared is what all tests use.
type shared struct {
	dir      string
	programs cluster.Programs
	server   *pgserver.Server
	// guided and secured are started by the first test that asks for them.
	guided  func() (*guided, error)
	secured func() (*securedServer, error)
}

// suite is set by TestMain before the first test and not changed any more.
var suite *shared

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "acceptance:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "praefect-acceptance-")
	if err != nil {
		return 1, fmt.Errorf("create directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	programs, err := cluster.Build(context.Background(), dir)
	if err != nil {
		return 1, err
	}
	server, err := pgserver.Start(context.Background(), pgserver.Config{MaxConnections: 300})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	suite = &shared{dir: dir, programs: programs, server: server}
	var started closers
	defer func() { err = errors.Join(err, started.close()) }()
	suite.guided = sync.OnceValues(func() (*guided, error) {
		return startGuided(context.Background(), suite, &started)
	})
	suite.secured = sync.OnceValues(func() (*securedServer, error) {
		return startSecured(context.Background(), suite, &started)
	})

	return m.Run(), nil
}

// installed returns the path of a program, or skips the test and names its package.
func installed(t *testing.T, program, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath(filepath.Join("/usr/sbin", program))
	}
	if err != nil {
		t.Skipf("%s is not installed: apt-get install %s", program, pkg)
	}

	return path
}

// spawn runs a program until the test ends.
func spawn(t *testing.T, path string, args ...string) *cluster.Process {
	t.Helper()
	log := filepath.Join(t.TempDir(), filepath.Base(path)+".log")
	process, err := cluster.Spawn(cluster.Command{Path: path, Args: args, Log: log})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, process.Kill())
		if t.Failed() {
			content, err := os.ReadFile(log)
			t.Logf("%s (%v):\n%s", path, err, content)
		}
	})

	return process
}

// newDatabase makes an empty database that is dropped with the test.
func newDatabase(t *testing.T) cluster.Database {
	t.Helper()
	name := fmt.Sprintf("acceptance_%x", rand.Uint64())
	require.NoError(t, suite.server.Create(t.Context(), name, ""))
	t.Cleanup(func() { require.NoError(t, suite.server.Drop(context.Background(), name)) })

	return cluster.DatabaseOn(suite.server, name)
}

// start runs a cluster until the test ends; a failed test shows the logs of the proxies.
func start(t *testing.T, config cluster.Config) *cluster.Cluster {
	t.Helper()
	git := config.Programs.Git
	config.Programs = suite.programs
	config.Programs.Git = git
	if config.Database == (cluster.Database{}) {
		config.Database = newDatabase(t)
	}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	dir := t.TempDir()
	config.Dir = dir
	started, err := cluster.Start(ctx, config)
	if err != nil {
		showLogs(t, dir)
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			showLogs(t, dir)
		}
		require.NoError(t, started.Close())
	})

	return started
}

func showLogs(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "log", "praefect*"))
	require.NoError(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		t.Logf("%s (%v):\n%s", file, err, content[max(0, len(content)-8<<10):])
	}
}

// proxyLog returns what a proxy has logged.
func proxyLog(t *testing.T, c *cluster.Cluster, proxy *cluster.Proxy) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(c.Dir(), "log", proxy.Name+".log"))
	require.NoError(t, err)

	return string(content)
}

// dialled connects a client to an address of the harness.
func dialled(t *testing.T, c *cluster.Cluster, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := cluster.Dial(address, c.Token())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })

	return conn
}

// create makes a repository and returns how to name it.
func create(t *testing.T, conn grpc.ClientConnInterface, path string) *gitalypb.Repository {
	t.Helper()
	return createIn(t, conn, "default", path)
}

// createIn does so in any virtual storage.
func createIn(
	t *testing.T, conn grpc.ClientConnInterface, storage, path string,
) *gitalypb.Repository {
	t.Helper()
	repository := &gitalypb.Repository{StorageName: storage, RelativePath: path}
	_, err := gitalypb.NewRepositoryServiceClient(conn).CreateRepository(t.Context(),
		&gitalypb.CreateRepositoryRequest{Repository: repository})
	require.NoError(t, err)

	return repository
}

// exists asks for a repository, which is a read of the database and of a node.
func exists(
	ctx context.Context, conn grpc.ClientConnInterface, repository *gitalypb.Repository,
) error {
	answer, err := gitalypb.NewRepositoryServiceClient(conn).RepositoryExists(ctx,
		&gitalypb.RepositoryExistsRequest{Repository: repository})
	if err == nil && !answer.GetExists() {
		return errors.New("an acknowledged repository is not there")
	}

	return err
}

// write changes a reference, which all nodes vote on.
func write(
	ctx context.Context, conn grpc.ClientConnInterface, repository *gitalypb.Repository,
	branch string,
) error {
	_, err := gitalypb.NewRepositoryServiceClient(conn).WriteRef(ctx, &gitalypb.WriteRefRequest{
		Repository: repository, Ref: []byte("HEAD"), Revision: []byte("refs/heads/" + branch),
	})

	return err
}

// closers end what several tests share, the latest first. Safe for concurrent use.
type closers struct {
	mu  sync.Mutex // guards all
	all []func() error
}

func (c *closers) add(end func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, end)
}

func (c *closers) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, end := range slices.Backward(c.all) {
		errs = append(errs, end())
	}

	return errors.Join(errs...)
}

// ran is what a command left behind.
type ran struct {
	stdout, stderr string
	code           int
}

// praefect runs the program to its end.
func praefect(t *testing.T, env []string, args ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	command := exec.CommandContext(ctx, suite.programs.Praefect, args...)
	command.Env = append(command.Environ(), env...)
	var stdout, stderr strings.Builder
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		var exited *exec.ExitError
		require.ErrorAs(t, err, &exited)
	}

	return ran{stdout.String(), stderr.String(), command.ProcessState.ExitCode()}
}

// written is a configuration file with a text.
func written(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.toml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))

	return file
}

// set gives a key of a configuration another value.
func set(text, key, value string) string {
	line := regexp.MustCompile(`(?m)^` + key + ` = .*$`)

	return line.ReplaceAllLiteralString(text, fmt.Sprintf("%s = %q", key, value))
}

// edit changes the configuration of a proxy that does not run or is restarted later.
func edit(t *testing.T, proxy *cluster.Proxy, change func(text string) string) {
	t.Helper()
	content, err := os.ReadFile(proxy.ConfigFile)
	require.NoError(t, err)
	changed := change(string(content))
	require.NotEqual(t, string(content), changed)
	require.NoError(t, os.WriteFile(proxy.ConfigFile, []byte(changed), 0o600))
}

// restart lets a proxy begin anew with another configuration.
func restart(t *testing.T, proxy *cluster.Proxy, change func(text string) string) {
	t.Helper()
	edit(t, proxy, change)
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	require.NoError(t, proxy.Process().Terminate(ctx))
	require.NoError(t, proxy.Start(ctx))
}

// recorded is what the proxies know about a repository.
func recorded(
	ctx context.Context, t require.TestingT, conn grpc.ClientConnInterface,
	repository *gitalypb.Repository,
) *gitalypb.GetRepositoryMetadataResponse {
	answer, err := gitalypb.NewPraefectInfoServiceClient(conn).GetRepositoryMetadata(ctx,
		&gitalypb.GetRepositoryMetadataRequest{
			Query: &gitalypb.GetRepositoryMetadataRequest_Path_{
				Path: &gitalypb.GetRepositoryMetadataRequest_Path{
					VirtualStorage: repository.GetStorageName(),
					RelativePath:   repository.GetRelativePath(),
				},
			},
		})
	require.NoError(t, err)

	return answer
}

// current lists the storages whose replicas have every write.
func current(answer *gitalypb.GetRepositoryMetadataResponse) []string {
	var storages []string
	for _, replica := range answer.GetReplicas() {
		if replica.GetGeneration() == answer.GetGeneration() {
			storages = append(storages, replica.GetStorage())
		}
	}

	return storages
}

// awaitCurrent waits until so many replicas have every write.
func awaitCurrent(
	t *testing.T, conn grpc.ClientConnInterface, repository *gitalypb.Repository, count int,
) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Len(c, current(recorded(t.Context(), c, conn, repository)), count)
	}, wait, tick)
}
