package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"praefect/test/pgtest"
)

const (
	serveWait = 20 * time.Second
	tick      = 10 * time.Millisecond
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"praefect": main})
}

// TestScripts runs the transcripts in testdata. Each has an empty database of its own: $PGHOST,
// $PGUSER and $PGDATABASE lead there, as the configuration files leave [database] empty.
//
// Requirements: T048, T082, T199
func TestScripts(t *testing.T) {
	t.Parallel()

	scripts, err := filepath.Glob("testdata/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, scripts)

	testscript.Run(t, testscript.Params{
		Files: scripts,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"waitfor": waitFor, "leave": leave,
		},
		Setup: func(env *testscript.Env) error {
			database := pgtest.Empty(env.T().(testing.TB))
			env.Setenv("PGHOST", database.Host)
			env.Setenv("PGPORT", database.Port)
			env.Setenv("PGUSER", database.User)
			env.Setenv("PGDATABASE", database.DBName)

			guides := os.DirFS("../internal/configfile/testdata")

			return errors.Join(os.CopyFS(filepath.Join(env.WorkDir, "guides"), guides),
				os.WriteFile(filepath.Join(env.WorkDir, "config.toml"), []byte(minimal), 0o600))
		},
	})
}

// minimal is a configuration whose only node does not exist.
const minimal = `
listen_addr = "127.0.0.1:0"

[logging]
format = "json"

[[virtual_storage]]
name = "default"

[[virtual_storage.node]]
storage = "gitaly-1"
address = "unix:/nonexistent/gitaly.socket"
`

// waitFor waits until somebody serves on a socket: waitfor FILE.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	for deadline := time.Now().Add(serveWait); ; {
		conn, err := net.DialTimeout("unix", path, serveWait)
		if err == nil {
			ts.Check(conn.Close())

			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("nobody serves on %s: %v", path, err)
		}
		<-time.After(tick)
	}
}

// leave makes a socket file on which nobody listens: leave FILE.
func leave(ts *testscript.TestScript, _ bool, args []string) {
	listener, err := net.Listen("unix", ts.MkAbs(args[0]))
	ts.Check(err)
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	ts.Check(listener.Close())
}
