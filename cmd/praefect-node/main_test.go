package main_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"praefect/proxy/auth"
	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

const (
	waitLong = 20 * time.Second
	tick     = 10 * time.Millisecond
	token    = "secret"
	zero     = "0000000000000000000000000000000000000000"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a node's disk, and how its process is started.
type bench struct {
	programs cluster.Programs
	dir      string
	disk     string
	address  string
	process  *cluster.Process
	conn     *grpc.ClientConn
}

func setup(t *testing.T) *bench {
	t.Helper()

	b := &bench{dir: t.TempDir()}
	b.disk = filepath.Join(b.dir, "disk")
	require.NoError(t, os.Mkdir(b.disk, 0o755))
	programs, err := cluster.Build(t.Context(), b.dir)
	require.NoError(t, err)
	b.programs = programs
	address, err := cluster.FreeAddress(t.Context())
	require.NoError(t, err)
	b.address = "tcp://" + address
	b.start(t)

	b.conn, err = grpc.NewClient(cluster.Target(b.address),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(auth.Credentials(token, nil)))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.conn.Close()) })

	return b
}

func (b *bench) start(t *testing.T) {
	t.Helper()

	process, err := b.spawn()
	require.NoError(t, err)
	b.process = process
	t.Cleanup(func() { require.NoError(t, process.Kill()) })
	ctx, cancel := context.WithTimeout(t.Context(), waitLong)
	defer cancel()
	require.NoError(t, cluster.WaitServing(ctx, process, b.address))
}

func (b *bench) spawn() (*cluster.Process, error) {
	return cluster.Spawn(cluster.Command{
		Path: b.programs.Node,
		Args: []string{
			"-listen", b.address, "-storage", "gitaly-1", "-path", b.disk,
			"-hooks", b.programs.Hooks, "-no-sync", "-log-level", "warn",
		},
		Env: []string{"PRAEFECT_NODE_TOKEN=" + token},
		Log: filepath.Join(b.dir, "log"),
	})
}

// create creates a repository with a custom hook that tells that it runs, and does not end.
func (b *bench) create(t *testing.T) *gitalypb.Repository {
	t.Helper()

	repo := &gitalypb.Repository{StorageName: "gitaly-1", RelativePath: "a/b.git"}
	_, err := gitalypb.NewRepositoryServiceClient(b.conn).CreateRepository(t.Context(),
		&gitalypb.CreateRepositoryRequest{Repository: repo})
	require.NoError(t, err)
	hook := filepath.Join(b.disk, "a/b.git/custom_hooks/pre-receive")
	require.NoError(t, os.MkdirAll(filepath.Dir(hook), 0o755))
	require.NoError(t, os.WriteFile(hook, fmt.Appendf(nil,
		"#!/bin/sh\n>%s/started\nsleep 1000 &\nexec tail -f %s/started\n", b.disk, b.disk), 0o755))

	return repo
}

// push begins a push, which hangs in the hook.
func (b *bench) push(t *testing.T, repo *gitalypb.Repository) {
	t.Helper()

	stream, err := gitalypb.NewSmartHTTPServiceClient(b.conn).PostReceivePack(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(
		&gitalypb.PostReceivePackRequest{Repository: repo, GlId: "user-1"}))
	line := strings.Repeat("1", 40) + " " + zero + " refs/heads/x\x00 report-status delete-refs"
	require.NoError(t, stream.Send(&gitalypb.PostReceivePackRequest{
		Data: fmt.Appendf(nil, "%04x%s0000", len(line)+4, line),
	}))
	require.NoError(t, stream.CloseSend())
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.FileExists(c, filepath.Join(b.disk, "started"))
	}, waitLong, tick)
}

// others returns the processes that were started for the disk.
func (b *bench) others(t require.TestingT) []string {
	entries, err := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(t, err)
	var found []string
	for _, entry := range entries {
		environ, err := os.ReadFile(entry)
		if err == nil && bytes.Contains(environ, []byte(b.disk)) {
			found = append(found, entry)
		}
	}

	return found
}

func TestKilledGroupLeavesNothing(t *testing.T) {
	t.Parallel()

	b := setup(t)
	repo := b.create(t)
	b.push(t, repo)
	require.NotEmpty(t, b.others(t), "Git and its hooks run")

	lock := filepath.Join(b.disk, "a/b.git/refs/heads/x.lock")
	require.NoError(t, os.WriteFile(lock, nil, 0o600))
	require.NoError(t, b.process.Kill())
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.Empty(c, b.others(c))
	}, waitLong, tick)

	b.start(t)
	require.NoFileExists(t, lock)
	answer, err := gitalypb.NewRepositoryServiceClient(b.conn).RepositoryExists(t.Context(),
		&gitalypb.RepositoryExistsRequest{Repository: repo}, grpc.WaitForReady(true))
	require.NoError(t, err)
	require.True(t, answer.GetExists())
}

func TestTerminates(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.create(t)
	var dialer net.Dialer
	idle, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(b.address, "tcp://"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, idle.Close()) })

	ctx, cancel := context.WithTimeout(t.Context(), waitLong)
	defer cancel()
	require.NoError(t, b.process.Terminate(ctx))
	require.Zero(t, b.process.ExitCode(), b.process.LogTail())
	require.Contains(t, b.process.LogTail(), "ready: storage gitaly-1 on 127.0.0.1:")
	require.NoFileExists(t, filepath.Join(b.disk, "+node", "socket"))
}

func TestSaysWhatIsWrong(t *testing.T) {
	t.Parallel()

	b := setup(t)
	for name, tc := range map[string]struct {
		args []string
		text string
	}{
		"no address":     {nil, "-listen is required"},
		"no storage":     {[]string{"-listen", "unix:/x"}, "not configured: storage"},
		"surplus":        {[]string{"x"}, `unexpected argument "x"`},
		"unknown option": {[]string{"-x"}, "flag provided but not defined"},
		"disk in use": {[]string{
			"-listen", "tcp://127.0.0.1:0", "-storage", "gitaly-1", "-path", b.disk,
			"-hooks", b.programs.Hooks,
		}, "storage is in use by another process"},
	} {
		log := filepath.Join(t.TempDir(), "log")
		process, err := cluster.Spawn(cluster.Command{
			Path: b.programs.Node, Args: tc.args, Log: log,
		})
		require.NoError(t, err)
		<-process.Done()
		require.Equal(t, 1, process.ExitCode(), name)
		require.Contains(t, process.LogTail(), tc.text, name)
	}
}
