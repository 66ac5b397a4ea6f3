package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/transaction/failpoint"
)

// unblocked is the promise for a branch whose proxy was killed when the nodes held its lock.
const unblocked = time.Minute

// crashes are cases in which the proxy dies.
func crashes() []trial {
	return []trial{{name: "crash/kill-at-prepared", alone: true, run: killAtPrepared}}
}

// stopPoint is where the proxy of a stage can be stopped.
const stopPoint = failpoint.PreparedWon

// stopVariable makes a proxy ask at the point whether it may go on. While nobody listens it does.
func stopVariable(dir string) string {
	return fmt.Sprintf("PRAEFECT_FAILPOINTS=%s=%s", stopPoint, stopSocket(dir))
}

func stopSocket(dir string) string { return filepath.Join(dir, "stop") }

// arrival waits until a proxy stands at the point; it stays there until the connection is closed.
func (t *take) arrival() (wait func() error) {
	var config net.ListenConfig
	listener, err := config.Listen(t.context, "unix", stopSocket(t.stage.dir))
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() }) // It may be closed.

	return func() error {
		conn, err := listener.Accept()
		if err != nil {
			return fmt.Errorf("wait for the proxy: %w", err)
		}
		t.Cleanup(func() { _ = conn.Close() }) // The proxy is dead.
		_, err = bufio.NewReader(conn).ReadString('\n')

		return errors.Join(err, listener.Close())
	}
}

// killAtPrepared kills the proxy when all nodes hold the locks of two references and wait for the
// verdict. The write did not happen, and the same one succeeds within a minute after the proxy is
// back. In the end all replicas are current and equal, and nobody holds a lock any more.
func killAtPrepared(t *take) {
	r := t.create()
	c := t.filled(r)
	before := r.reference("refs/heads/main")
	c.commit("third", "three\n")
	wait := t.arrival()

	pushed := make(chan error, 1)
	push := func() error {
		ctx, cancel := context.WithTimeout(t.context, settles)
		defer cancel()
		bounded := &checkout{take: &take{stage: t.stage, context: ctx}, dir: c.dir}
		_, err := overHTTP(bounded, r, "push", "--quiet", "--atomic", remote, "main", "main:new")

		return err
	}
	go func() { pushed <- push() }()
	require.NoError(t, wait())
	require.NoError(t, t.stage.Proxy().Process().Kill())
	require.Error(t, <-pushed)
	require.NoError(t, t.stage.Proxy().Start(t.context))
	begin := time.Now()
	require.Equal(t, before, r.reference("refs/heads/main"), "nobody was told to commit")

	t.eventually(unblocked, push)
	t.note("written again after %.1fs", time.Since(begin).Seconds())
	t.eventually(unblocked, r.unequal)
	require.Equal(t, c.git("rev-parse", "main"), r.reference("refs/heads/main"))
	t.eventually(unblocked, func() error {
		if left := t.lockFiles(); len(left) > 0 {
			return fmt.Errorf("locks are left: %v", left)
		}

		return r.unequal()
	})
	t.note("no lock is left after %.1fs", time.Since(begin).Seconds())
}

// lockFiles lists lock files of references on the disks of all nodes.
func (t *take) lockFiles() []string {
	var found []string
	for _, node := range t.stage.Nodes() {
		err := filepath.WalkDir(node.Disk, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".lock") {
				found = append(found, path)
			}
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, os.ErrPermission) {
				return nil // Files come and go while nodes work.
			}

			return err
		})
		require.NoError(t, err)
	}

	return found
}
