package logging

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// pieces records what is written at once.
type pieces struct {
	mu      sync.Mutex // guards the fields below
	content []string
	err     error
}

// Write implements io.Writer.
func (p *pieces) Write(content []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.content = append(p.content, string(content))

	return len(content), p.err
}

func (p *pieces) written() []string {
	p.mu.Lock()
	defer p.mu.Unlock()

	return slices.Clone(p.content)
}

func (p *pieces) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func write(t *testing.T, to *paced, lines ...string) {
	t.Helper()

	for _, line := range lines {
		n, err := to.Write([]byte(line))
		require.NoError(t, err)
		require.Equal(t, len(line), n)
	}
}

// pass lets time pass. Within a bubble of synctest that is the only way, and costs none.
func pass(duration time.Duration) {
	<-time.After(duration)
	synctest.Wait()
}

func TestPaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got pieces
		p := newPaced(&got)
		write(t, p, "1\n")
		require.Equal(t, []string{"1\n"}, got.written(), "one line is written at once")

		write(t, p, "2\n", "3\n")
		require.Len(t, got.written(), 1, "others wait")
		pass(pause)
		require.Equal(t, []string{"1\n", "2\n3\n"}, got.written(), "but not long")

		pass(pause)
		write(t, p, "4\n")
		require.Len(t, got.written(), 3, "after some silence nothing waits")

		write(t, p, "5\n")
		require.NoError(t, p.Sync())
		require.NoError(t, p.Sync())
		require.Equal(t, "5\n", got.written()[3])
		pass(time.Hour)
		require.Len(t, got.written(), 4, "nothing is written twice")
	})
}

func TestPacedIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got pieces
		p := newPaced(&got)
		line := strings.Repeat("x", pieceMax/4-1) + "\n"
		write(t, p, line, line, line, line, line)
		require.Len(t, got.written(), 1)
		require.LessOrEqual(t, cap(p.waiting), pieceMax)
		write(t, p, line)
		require.Len(t, got.written(), 2, "what would be too much is written before")
		require.Len(t, got.written()[1], pieceMax)

		large := strings.Repeat("y", 2*pieceMax)
		write(t, p, large)
		require.Equal(t, []string{line, large}, got.written()[2:], "in order, and not kept")
	})
}

// TestPacedFails tells of a write that failed with the next line.
func TestPacedFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("disk is full")
		got := pieces{err: full}
		p := newPaced(&got)
		_, err := p.Write([]byte("1\n"))
		require.ErrorIs(t, err, full)
		write(t, p, "2\n")
		pass(pause)
		got.fail(nil)
		_, err = p.Write([]byte("3\n"))
		require.ErrorIs(t, err, full)
		require.NoError(t, p.Sync())
	})
}

// TestWarningsDoNotWait writes a warning with all that was said before.
func TestWarningsDoNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, err := New(&out, Config{Format: "text", Level: "info"})
		require.NoError(t, err)
		log = log.With(zap.String("key", "value"))
		log.Info("first")
		log.Info("second")
		require.NotContains(t, out.String(), "second")
		log.Debug("not written at level info")
		log.Warn("third")
		require.Equal(t, 3, strings.Count(out.String(), "key=value"))
		require.Less(t, strings.Index(out.String(), "second"), strings.Index(out.String(), "third"))
		require.NotContains(t, out.String(), "not written")
	})
}

// TestDebugDoesNotWait writes every line at once for whoever looks for something.
func TestDebugDoesNotWait(t *testing.T) {
	t.Parallel()

	var out bytes.Buffer
	log, err := New(&out, Config{Format: "text", Level: "debug"})
	require.NoError(t, err)
	for _, message := range []string{"first", "second", "third"} {
		log.Info(message)
		require.Contains(t, out.String(), message)
	}
}

func BenchmarkLine(b *testing.B) {
	log, err := New(io.Discard, Config{Format: "json", Level: "info"})
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		log.Info("finished call", zap.String("key", "value"))
	}
	require.NoError(b, log.Sync())
}
