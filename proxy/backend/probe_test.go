package backend_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/yamux"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"praefect/proxy/backend"
)

func answer(code codes.Code) error { return status.Error(code, "the node says so") }

func TestProbeAnswers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer healthpb.HealthCheckResponse_ServingStatus
		err    error
		want   error
	}{
		"serving": {answer: healthpb.HealthCheckResponse_SERVING},
		"not serving": {
			answer: healthpb.HealthCheckResponse_NOT_SERVING,
			want:   backend.ErrNotServing,
		},
		"unknown":       {want: backend.ErrNotServing},
		"unavailable":   {err: answer(codes.Unavailable), want: backend.ErrNotServing},
		"internal":      {err: answer(codes.Internal), want: backend.ErrNotServing},
		"unimplemented": {err: answer(codes.Unimplemented), want: backend.ErrNotServing},
		"canceled":      {err: answer(codes.Canceled), want: backend.ErrInconclusive},
		"exhausted":     {err: answer(codes.ResourceExhausted), want: backend.ErrInconclusive},
		"deadline":      {err: answer(codes.DeadlineExceeded), want: backend.ErrTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener := listen(t)
			(&fakeNode{check: func(context.Context) (*healthpb.HealthCheckResponse, error) {
				return &healthpb.HealthCheckResponse{Status: tc.answer}, tc.err
			}}).start(t, listener)
			to := node("a", listener)
			err := dial(t, backend.Dependencies{}, to).Probe(within(t), to)
			require.ErrorIs(t, err, tc.want)
			if tc.err != nil {
				require.ErrorIs(t, err, tc.err)
			}
		})
	}
}

// TestProbeRefused finds out at once that nobody listens, each time.
func TestProbeRefused(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	require.NoError(t, listener.Close())
	to := node("a", listener)
	pool := dial(t, backend.Dependencies{}, to)
	for range 20 {
		start := time.Now()
		err := pool.Probe(within(t), to)
		require.ErrorIs(t, err, backend.ErrUnreachable)
		require.ErrorContains(t, err, "connection refused")
		require.Less(t, time.Since(start), time.Second)
	}
}

// TestProbeSilent asks nodes that do not answer.
func TestProbeSilent(t *testing.T) {
	t.Parallel()
	silent := listen(t) // the system completes connections, nobody reads them
	t.Cleanup(func() { require.NoError(t, silent.Close()) })
	frozen := listen(t)
	(&fakeNode{check: func(ctx context.Context) (*healthpb.HealthCheckResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}).start(t, frozen)
	for name, listener := range map[string]net.Listener{
		"no handshake": silent, "no answer": frozen,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := node("a", listener)
			pool := dial(t, backend.Dependencies{}, to)
			ctx, cancel := context.WithTimeout(within(t), 20*tick)
			defer cancel()
			require.ErrorIs(t, pool.Probe(ctx, to), backend.ErrTimeout)

			ctx, cancel = context.WithCancel(within(t))
			cancel()
			require.ErrorIs(t, pool.Probe(ctx, to), backend.ErrInconclusive)
		})
	}
}

// TestNodeCrashes kills a node during a probe and brings it back.
func TestNodeCrashes(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	asked := make(chan struct{}, 1)
	first := &fakeNode{check: func(ctx context.Context) (*healthpb.HealthCheckResponse, error) {
		asked <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	first.start(t, listener)
	to := node("a", listener)
	broken := make(chan backend.Node, 8)
	pool := dial(t, backend.Dependencies{OnBroken: func(n backend.Node) { broken <- n }}, to)
	probed := make(chan error, 1)
	go func() { probed <- pool.Probe(within(t), to) }()
	receive(t, asked)
	first.stop()
	require.ErrorIs(t, receive(t, probed), backend.ErrUnreachable)
	require.Equal(t, to, receive(t, broken))
	require.ErrorIs(t, pool.Probe(within(t), to), backend.ErrUnreachable)

	again, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	(&fakeNode{}).start(t, again)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.NoError(c, pool.Probe(within(t), to))
	}, patience, tick)
	require.Empty(t, broken, "told once")
}

// TestNodeShutsDown ends a node in good order: a probe in flight is answered,
// and nothing broke.
func TestNodeShutsDown(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	n := (&fakeNode{}).start(t, listener)
	to := node("a", listener)
	broken := make(chan backend.Node, 8)
	pool := dial(t, backend.Dependencies{OnBroken: func(n backend.Node) { broken <- n }}, to)
	require.NoError(t, pool.Probe(within(t), to))
	n.grpc.GracefulStop()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		require.ErrorIs(c, pool.Probe(within(t), to), backend.ErrUnreachable)
	}, patience, tick)
	require.Empty(t, broken)
}

// Error codes of HTTP/2.
const (
	codeInternal = 2
	codeRefused  = 7
	codeCancel   = 8
	codeCalm     = 11
)

// TestProbeReset has a node reset the probe's stream, and lets it answer on
// the same connection afterwards: the node is not sick.
func TestProbeReset(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]uint32{
		"internal": codeInternal, "refused": codeRefused, "cancel": codeCancel, "calm": codeCalm,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to, _ := rawNode(t, func(h2 *rawHTTP2, stream uint32) {
				h2.write(frameReset, stream, binary.BigEndian.AppendUint32(nil, code))
			})
			broken := make(chan backend.Node, 8)
			pool := dial(t, backend.Dependencies{
				OnBroken: func(n backend.Node) { broken <- n },
			}, to)
			for range 3 {
				require.ErrorIs(t, pool.Probe(within(t), to), backend.ErrInconclusive)
			}
			require.Empty(t, broken)
		})
	}
}

// TestProbeGoAway has a node say goodbye to a probe that it did not process.
func TestProbeGoAway(t *testing.T) {
	t.Parallel()
	to, connections := rawNode(t, func(h2 *rawHTTP2, stream uint32) {
		if h2.first {
			h2.write(frameGoAway, 0, make([]byte, 8)) // nothing was processed, no error
			return
		}
		h2.write(frameReset, stream, binary.BigEndian.AppendUint32(nil, codeCancel))
	})
	broken := make(chan backend.Node, 8)
	pool := dial(t, backend.Dependencies{OnBroken: func(n backend.Node) { broken <- n }}, to)
	require.ErrorIs(t, pool.Probe(within(t), to), backend.ErrInconclusive)
	require.Empty(t, broken)
	receive(t, connections)
	receive(t, connections)
}

const (
	frameHeaders  = 1
	frameReset    = 3
	frameSettings = 4
	frameGoAway   = 7

	prefaceLen     = 24
	frameHeaderLen = 9
)

// rawHTTP2 is the server's side of an HTTP/2 connection, played by hand.
type rawHTTP2 struct {
	conn  net.Conn
	first bool // it is the first one to the node
}

func (h *rawHTTP2) write(kind byte, stream uint32, payload []byte) {
	frame := []byte{0, 0, byte(len(payload)), kind, 0}
	frame = binary.BigEndian.AppendUint32(frame, stream)
	_, _ = h.conn.Write(append(frame, payload...)) // the client tells if it did not come
}

// serve calls answer for each request until the connection ends.
func (h *rawHTTP2) serve(answer func(h2 *rawHTTP2, stream uint32)) {
	h.write(frameSettings, 0, nil)
	if _, err := io.CopyN(io.Discard, h.conn, prefaceLen); err != nil {
		return
	}
	header := make([]byte, frameHeaderLen)
	for {
		if _, err := io.ReadFull(h.conn, header); err != nil {
			return
		}
		length := int64(header[0])<<16 | int64(header[1])<<8 | int64(header[2])
		if _, err := io.CopyN(io.Discard, h.conn, length); err != nil {
			return
		}
		if header[3] == frameHeaders {
			answer(h, binary.BigEndian.Uint32(header[5:]))
		}
	}
}

// rawNode starts a node whose HTTP/2 is played by the test, and tells of each
// connection.
func rawNode(
	t testing.TB, answer func(h2 *rawHTTP2, stream uint32),
) (backend.Node, <-chan struct{}) {
	t.Helper()
	listener := listen(t)
	connections := make(chan struct{}, 16)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var played sync.WaitGroup
		defer played.Wait()
		for first := true; ; first = false {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections <- struct{}{}
			played.Go(func() { playNode(conn, answer, first) })
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		receive(t, done) // the pool has been closed before
	})
	return node("a", listener), connections
}

func playNode(conn net.Conn, answer func(h2 *rawHTTP2, stream uint32), first bool) {
	defer func() { _ = conn.Close() }()
	if _, err := io.CopyN(io.Discard, conn, int64(len("backchannel"))); err != nil {
		return
	}
	cfg := yamux.DefaultConfig()
	cfg.EnableKeepAlive = false
	cfg.LogOutput = io.Discard
	session, err := yamux.Server(conn, cfg)
	if err != nil {
		return
	}
	defer func() { _ = session.Close() }()
	stream, err := session.Accept()
	if err != nil {
		return
	}
	(&rawHTTP2{conn: stream, first: first}).serve(answer)
}
