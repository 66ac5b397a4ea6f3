package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"praefect/hooks"
)

func TestMain(m *testing.M) {
	commands := map[string]func(){"praefect-hooks": main}
	for _, name := range hooks.Names() {
		commands[name] = main
	}
	testscript.Main(m, commands)
}

// node is what a script talks to: it answers votes with a verdict and records them.
type node struct {
	mu      sync.Mutex // guards the fields below
	verdict error
	votes   []string
	stop    func()
}

func (n *node) Vote(_ context.Context, phase hooks.Phase, hash hooks.Hash) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.votes = append(n.votes, fmt.Sprintf("%s %s\n", phase, hash))

	return n.verdict
}

func (n *node) Stop(context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.votes = append(n.votes, "stop\n")

	return nil
}

// start serves hooks for a script, whose environment gets two payloads: $PRIMARY and $SECONDARY.
func (n *node) start(env *testscript.Env) error {
	dir, err := os.MkdirTemp("", "hooks-")
	if err != nil {
		return err
	}
	socket := filepath.Join(dir, "socket")
	var listen net.ListenConfig
	listener, err := listen.Listen(context.Background(), "unix", socket)
	if err != nil {
		return err
	}

	server := hooks.NewServer(func(error) {})
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(ctx, listener) })
	n.stop = sync.OnceFunc(func() {
		cancel()
		serving.Wait()
	})
	env.Defer(n.stop)
	env.Defer(func() { _ = os.RemoveAll(dir) })

	token, remove := server.Add(hooks.Operation{Voter: n, Done: make(chan struct{})})
	env.Defer(remove)

	for name, transaction := range map[string]*hooks.Transaction{
		"PRIMARY":   {ID: 1, Node: "gitaly-1", Primary: true},
		"SECONDARY": {ID: 1, Node: "gitaly-1"},
		"ALONE":     nil,
	} {
		entry, err := hooks.Payload{
			Socket: socket, Token: token, Transaction: transaction,
			Path: filepath.Join(env.WorkDir, "repo.git"),
		}.Environ()
		if err != nil {
			return err
		}
		env.Setenv(name, strings.TrimPrefix(entry, hooks.PayloadVariable+"="))
	}

	return nil
}

type key struct{}

func TestScripts(t *testing.T) {
	t.Parallel()

	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			n := &node{}
			env.Values[key{}] = n
			env.Setenv("GORACE", "atexit_sleep_ms=0") // its default is a second a process
			env.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
			env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
			for _, name := range []string{"AUTHOR", "COMMITTER"} {
				env.Setenv("GIT_"+name+"_NAME", "A")
				env.Setenv("GIT_"+name+"_EMAIL", "a@b")
				env.Setenv("GIT_"+name+"_DATE", "1700000000 +0000")
			}
			// Where testscript puts the commands of TestMain is where Git finds its hooks.
			env.Setenv("HOOKS", filepath.SplitList(env.Getenv("PATH"))[0])

			return n.start(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"verdict": verdict, "votes": votes, "lose-node": lose,
		},
	})
}

// verdict sets how the node answers: verdict commit|abort|stop.
func verdict(ts *testscript.TestScript, _ bool, args []string) {
	known := map[string]error{
		"commit": nil, "abort": hooks.ErrAborted, "stop": hooks.ErrStopped,
		"unreachable": errors.New("coordinator not reached"),
	}
	n := nodeOf(ts)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.verdict = known[args[0]]
}

// votes compares what was voted since the last time with a file; no argument means nothing.
func votes(ts *testscript.TestScript, _ bool, args []string) {
	n := nodeOf(ts)
	n.mu.Lock()
	defer n.mu.Unlock()

	want := ""
	if len(args) > 0 {
		want = ts.ReadFile(args[0])
	}
	if got := strings.Join(n.votes, ""); got != want {
		ts.Fatalf("votes:\n%swant:\n%s", got, want)
	}
	n.votes = nil
}

func lose(ts *testscript.TestScript, _ bool, _ []string) { nodeOf(ts).stop() }

func nodeOf(ts *testscript.TestScript) *node {
	n, ok := ts.Value(key{}).(*node)
	if !ok {
		ts.Fatalf("script has no node")
	}

	return n
}
