package hooks_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"praefect/hooks"
)

const synchronizedPreReceive = "synchronized 7475a0d87cbbee23b9a7e8ccde58a494db01611f"

func TestHooksOfAPush(t *testing.T) {
	t.Parallel()

	primary := &hooks.Transaction{ID: 1, Node: "n", Primary: true}
	secondary := &hooks.Transaction{ID: 1, Node: "n"}
	const script = "cat; echo ran $GL_ID $GL_PROTOCOL"

	for name, tc := range map[string]struct {
		transaction *hooks.Transaction
		script      string
		verdict     error
		code        int
		output      string
		votes       []string
	}{
		"primary": {
			primary, script, nil, 0, "input\nran user-1 http\n", []string{synchronizedPreReceive},
		},
		"secondary only waits": {
			secondary, script, nil, 0, "", []string{synchronizedPreReceive},
		},
		"no transaction": {nil, script, nil, 0, "input\nran user-1 http\n", nil},
		"primary refuses": {
			primary, "echo no; exit 3", nil, 1, "no\n", []string{"stop"},
		},
		"refused without transaction": {nil, "echo no; exit 3", nil, 1, "no\n", nil},
		"stopped by the primary": {
			secondary, script, hooks.ErrStopped, 1,
			"pre-receive hook: synchronizing pre-receive hook: vote failed: " +
				hooks.ErrStopped.Error() + "\n",
			[]string{synchronizedPreReceive},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := setup(t, tc.transaction)
			b.voter.verdict = tc.verdict
			b.custom(t, "pre-receive", tc.script)

			stdin := strings.NewReader("input\n")
			code, output := b.run(t, "pre-receive", stdin)
			require.Equal(t, tc.code, code)
			require.Equal(t, tc.output, output)
			require.Equal(t, tc.votes, b.voter.all())
			require.Zero(t, stdin.Len(), "input was not read to its end")
		})
	}
}

func TestCustomHooksInOrder(t *testing.T) {
	t.Parallel()

	b := setup(t, nil)
	b.custom(t, "update", "echo first $@")
	b.custom(t, "update.d/20-b", "echo third")
	b.custom(t, "update.d/10-a", "echo second")
	b.custom(t, "update.d/10-a~", "echo never")
	b.custom(t, "update.d/sub/dir", "echo never")

	code, output := b.run(t, "update", strings.NewReader(""), "refs/heads/main", zero, ones)
	require.Zero(t, code)
	require.Equal(t, "first refs/heads/main "+zero+" "+ones+"\nsecond\nthird\n", output)
}

func TestFirstFailingCustomHookEndsTheOthers(t *testing.T) {
	t.Parallel()

	b := setup(t, nil)
	b.custom(t, "post-receive.d/1", "exit 1")
	b.custom(t, "post-receive.d/2", "echo never")

	code, output := b.run(t, "post-receive", strings.NewReader(""))
	require.Equal(t, 1, code)
	require.Empty(t, output)
}

func TestCustomHookDoesNotSeeTheToken(t *testing.T) {
	t.Parallel()

	b := setup(t, nil)
	b.custom(t, "update", "env")

	code, output := b.run(t, "update", strings.NewReader(""))
	require.Zero(t, code)
	require.Contains(t, output, "GL_ID=user-1")
	require.NotContains(t, output, b.payload.Token)
	require.NotContains(t, output, "GIT_CONFIG_PARAMETERS")
}

func TestCustomHookIsEndedWithItsOperation(t *testing.T) {
	t.Parallel()

	for name, end := range map[string]func(*bench){
		"pusher leaves": func(b *bench) { b.end() },
		"node is lost":  func(b *bench) { b.stop() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := setup(t, &hooks.Transaction{ID: 1, Node: "n", Primary: true})
			// The sleeping program keeps the output open when only the hook itself dies.
			b.custom(t, "pre-receive", "sleep 1000 & echo $!; wait")

			output, write := io.Pipe()
			started := make(chan int, 1)
			go func() {
				var child int
				_, _ = fmt.Fscanln(output, &child)
				started <- child
				end(b)
				_, _ = io.Copy(io.Discard, output)
			}()

			entry, err := b.payload.Environ()
			require.NoError(t, err)
			code := hooks.Run(t.Context(), hooks.Call{
				Name: "pre-receive", Environ: []string{entry, "PATH=/usr/bin:/bin"},
				Stdin: strings.NewReader(""), Stdout: write, Stderr: write,
			})
			require.NoError(t, write.Close())
			require.Equal(t, 1, code)
			requireEnded(t, <-started)
			require.NotContains(t, b.voter.all(), synchronizedPreReceive)
		})
	}
}

// requireEnded waits until a process is gone, or is dead and only waits to be reaped.
func requireEnded(t *testing.T, pid int) {
	t.Helper()

	require.Positive(t, pid)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err == nil {
			require.Contains(c, string(status), "State:\tZ")
		}
	}, 10*time.Second, 10*time.Millisecond)
}
