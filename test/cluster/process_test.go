package cluster_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"praefect/test/cluster"
)

const (
	waitLong = 10 * time.Second
	tick     = 10 * time.Millisecond
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func spawnShell(t *testing.T, script string) *cluster.Process {
	t.Helper()

	process, err := cluster.Spawn(cluster.Command{
		Path: "/bin/sh", Args: []string{"-c", script}, Log: filepath.Join(t.TempDir(), "log"),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, process.Kill()) })

	return process
}

func TestSpawnReportsMissingProgram(t *testing.T) {
	t.Parallel()

	_, err := cluster.Spawn(cluster.Command{
		Path: "/nonexistent/program", Log: filepath.Join(t.TempDir(), "log"),
	})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestExitCodeAndLog(t *testing.T) {
	t.Parallel()

	process := spawnShell(t, "echo out; echo err >&2; exit 3")
	<-process.Done()

	require.Equal(t, 3, process.ExitCode())
	require.Equal(t, "out\nerr\n", process.LogTail())
	require.ErrorIs(t, process.Signal(syscall.SIGTERM), cluster.ErrNotRunning)
}

func TestKillEndsTheGroup(t *testing.T) {
	t.Parallel()

	// The shell starts a child in the background and says who it is.
	process := spawnShell(t, "sleep 1000 & echo $!; wait")
	child := waitForNumber(t, process)

	require.NoError(t, process.Kill())
	require.Equal(t, -1, process.ExitCode())
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.Contains(c, []string{"", "Z"}, state(child))
	}, waitLong, tick)
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()

	process := spawnShell(t, "sleep 1000 & echo $!; wait")
	child := waitForNumber(t, process)

	require.NoError(t, process.Pause())
	for _, pid := range []int{process.PID(), child} {
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			require.Equal(c, "T", state(pid))
		}, waitLong, tick)
	}

	require.NoError(t, process.Resume())
	for _, pid := range []int{process.PID(), child} {
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			require.Equal(c, "S", state(pid))
		}, waitLong, tick)
	}
}

func TestTerminate(t *testing.T) {
	t.Parallel()

	for _, tc := range []struct {
		name, script string
		patience     time.Duration
		code         int
		err          error
	}{
		{
			name:   "in order",
			script: "trap 'exit 7' TERM; echo 1; while :; do sleep 0.01; done",
			// The patience is never used up.
			patience: waitLong, code: 7,
		},
		{
			name:     "killed when it ignores the signal",
			script:   "trap '' TERM; echo 1; while :; do sleep 0.01; done",
			patience: 50 * time.Millisecond, code: -1, err: context.DeadlineExceeded,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()

			process := spawnShell(t, tc.script)
			waitForNumber(t, process)

			ctx, cancel := context.WithTimeout(t.Context(), tc.patience)
			defer cancel()
			require.ErrorIs(t, process.Terminate(ctx), tc.err)
			require.Equal(t, tc.code, process.ExitCode())
		})
	}
}

func TestWaitServingNamesTheReason(t *testing.T) {
	t.Parallel()

	address, err := cluster.FreeAddress(t.Context())
	require.NoError(t, err)

	process := spawnShell(t, "echo no such disk; exit 1")
	err = cluster.WaitServing(t.Context(), process, "tcp://"+address)
	require.ErrorIs(t, err, cluster.ErrEnded)
	require.ErrorContains(t, err, "no such disk")
}

// waitForNumber waits until the program has written a number and returns it.
func waitForNumber(t *testing.T, process *cluster.Process) int {
	t.Helper()

	var number int
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var err error
		number, err = strconv.Atoi(strings.TrimSpace(process.LogTail()))
		require.NoError(c, err)
	}, waitLong, tick)

	return number
}

// state is the letter that /proc shows for a process, empty when there is none.
func state(pid int) string {
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(content), ") ")

	return rest[:1]
}
