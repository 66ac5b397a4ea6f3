package hooks_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"praefect/hooks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ballots records what is voted and answers with a fixed verdict.
type ballots struct {
	verdict error

	mu   sync.Mutex // guards the field below
	seen []string
}

func (b *ballots) Vote(_ context.Context, phase hooks.Phase, hash hooks.Hash) error {
	b.add(fmt.Sprintf("%s %s", phase, hash))

	return b.verdict
}

func (b *ballots) Stop(context.Context) error {
	b.add("stop")

	return nil
}

func (b *ballots) add(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = append(b.seen, line)
}

func (b *ballots) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.seen
}

// bench is a node as hooks see it.
type bench struct {
	voter      *ballots
	payload    hooks.Payload
	end        func() // the pusher leaves
	stop       func() // the node is lost
	repository string
}

func setup(t *testing.T, transaction *hooks.Transaction) *bench {
	t.Helper()

	//nolint:usetesting // The path of a socket must be short.
	dir, err := os.MkdirTemp("", "hooks-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })

	socket := filepath.Join(dir, "s")
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "unix", socket)
	require.NoError(t, err)

	server := hooks.NewServer(func(err error) { t.Logf("server: %v", err) })
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(ctx, listener) })
	stopped := sync.OnceFunc(func() {
		stop()
		serving.Wait()
	})
	t.Cleanup(stopped)

	done := make(chan struct{})
	voter := &ballots{}
	token, remove := server.Add(hooks.Operation{Voter: voter, Done: done})
	t.Cleanup(remove)

	return &bench{
		voter:      voter,
		repository: dir,
		end:        sync.OnceFunc(func() { close(done) }),
		stop:       stopped,
		payload: hooks.Payload{
			Socket: socket, Token: token, Transaction: transaction, Path: dir,
			Pusher: hooks.Pusher{ID: "user-1", Protocol: "http"},
		},
	}
}

// run runs a hook and returns its exit code and what it wrote.
func (b *bench) run(t *testing.T, name string, stdin io.Reader, args ...string) (int, string) {
	t.Helper()

	entry, err := b.payload.Environ()
	require.NoError(t, err)
	var output bytes.Buffer
	code := hooks.Run(t.Context(), hooks.Call{
		Name: name, Args: args, Stdin: stdin, Stdout: &output, Stderr: &output,
		Environ: []string{entry, "PATH=" + os.Getenv("PATH"), "GIT_CONFIG_PARAMETERS='a=b'"},
	})

	return code, output.String()
}

func (b *bench) custom(t *testing.T, path, script string) {
	t.Helper()

	path = filepath.Join(b.repository, hooks.CustomHooksDir, path)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755))
}

func TestReferenceTransactionVotes(t *testing.T) {
	t.Parallel()

	line := hooks.UpdateLine(zero, ones, "refs/heads/main")
	const lineHash = "a37ac9196539c88f3ec62adaf4cd423557a6503b"
	voting := &hooks.Transaction{ID: 1, Node: "n"}
	forced := hooks.UpdateLine(zero, zero, "x")
	preparedVote := []string{"prepared " + lineHash}
	committedVote := []string{"committed " + lineHash}

	for name, tc := range map[string]struct {
		transaction *hooks.Transaction
		state       string
		stdin       string
		verdict     error
		code        int
		votes       []string
	}{
		"prepared":                {voting, "prepared", line, nil, 0, preparedVote},
		"committed":               {voting, "committed", line, nil, 0, committedVote},
		"preparing":               {voting, "preparing", line, nil, 0, nil},
		"aborted":                 {voting, "aborted", line, nil, 0, nil},
		"a state to come":         {voting, "verified", line, nil, 0, nil},
		"no lines":                {voting, "prepared", "", nil, 0, nil},
		"forced deletion":         {voting, "prepared", forced, nil, 0, nil},
		"no transaction":          {nil, "prepared", line, nil, 0, nil},
		"abort":                   {voting, "prepared", line, hooks.ErrAborted, 1, preparedVote},
		"stop":                    {voting, "prepared", line, hooks.ErrStopped, 1, preparedVote},
		"abort when it is done":   {voting, "committed", line, hooks.ErrAborted, 0, committedVote},
		"coordinator not reached": {voting, "prepared", line, errors.New("x"), 1, preparedVote},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := setup(t, tc.transaction)
			b.voter.verdict = tc.verdict
			code, output := b.run(t, "reference-transaction", strings.NewReader(tc.stdin), tc.state)
			require.Equal(t, tc.code, code)
			require.Equal(t, tc.votes, b.voter.all())
			if tc.verdict != nil {
				require.Contains(t, output, "error voting on transaction: "+tc.verdict.Error())
			}
		})
	}
}

func TestLostNode(t *testing.T) {
	t.Parallel()

	line := hooks.UpdateLine(zero, ones, "refs/heads/main")
	for state, want := range map[string]int{
		"preparing": 0, "prepared": 1, "committed": 0, "aborted": 0,
	} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()

			b := setup(t, &hooks.Transaction{ID: 1, Node: "n"})
			b.stop()
			code, _ := b.run(t, "reference-transaction", strings.NewReader(line), state)
			require.Equal(t, want, code)
		})
	}
}

func TestEndedOperationIsUnknown(t *testing.T) {
	t.Parallel()

	b := setup(t, &hooks.Transaction{ID: 1, Node: "n"})
	b.payload.Token = "another"
	code, output := b.run(t, "pre-receive", strings.NewReader("x\n"))
	require.Equal(t, 1, code)
	require.Contains(t, output, hooks.ErrUnknownOperation.Error())
	require.Empty(t, b.voter.all())
}

func TestWrongInvocations(t *testing.T) {
	t.Parallel()

	b := setup(t, &hooks.Transaction{ID: 1, Node: "n"})
	stdin := strings.NewReader("x\n")
	code, output := b.run(t, "post-update", stdin)
	require.Equal(t, 1, code)
	require.Contains(t, output, hooks.ErrUnknownHook.Error())
	require.Zero(t, stdin.Len(), "input was not read to its end")

	var stderr bytes.Buffer
	stdin = strings.NewReader("x\n")
	code = hooks.Run(t.Context(), hooks.Call{
		Name: "pre-receive", Stdin: stdin, Stdout: io.Discard, Stderr: &stderr,
	})
	require.Equal(t, 1, code)
	require.Contains(t, stderr.String(), hooks.ErrNoPayload.Error())
	require.Zero(t, stdin.Len())
}
