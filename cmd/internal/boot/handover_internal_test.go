package boot

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"praefect/cmd/internal/configfile"
	"praefect/cmd/internal/succession"
)

// measured makes a server that answers over HTTP on a port that was just free.
func measured(t *testing.T, successor bool) *server {
	t.Helper()
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	file := &configfile.File{PrometheusListenAddr: probe.Addr().String()}
	require.NoError(t, probe.Close())
	s := newServer(t.Context(), zap.NewNop(), Options{
		Config: file, Version: "v1", Successor: successor,
	})
	require.NoError(t, s.startMetrics(t.Context()))
	t.Cleanup(func() {
		for _, part := range s.closers {
			require.NoError(t, part.close())
		}
	})

	return s
}

// answers says whether somebody listens for scrapes.
func (s *server) answers(t *testing.T) bool {
	t.Helper()
	conn, err := net.Dial("tcp", s.Config.PrometheusListenAddr)
	if err != nil {
		return false
	}
	require.NoError(t, conn.Close())

	return true
}

// TestHandOver asserts that a process which was replaced leaves scrapes and probes to the other at
// once, and that one which was told to end does not.
func TestHandOver(t *testing.T) {
	t.Parallel()
	s := measured(t, false)
	require.True(t, s.answers(t))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(context.Canceled)
	s.wait(ctx)
	require.True(t, s.answers(t))

	ctx, cancel = context.WithCancelCause(t.Context())
	cancel(succession.ErrReplaced)
	s.wait(ctx)
	require.False(t, s.answers(t))
}

// TestSuccessorIsSilent asserts that nobody hears of a start while the predecessor serves.
func TestSuccessorIsSilent(t *testing.T) {
	t.Parallel()
	s := measured(t, true)
	require.False(t, s.answers(t))
	require.NoError(t, s.listenMetrics(t.Context()))
	require.True(t, s.answers(t))
}
