package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/proxy/gitalypb"
	"praefect/proxy/sidechannel"
)

const sshUploadPack = "/gitaly.SSHService/SSHUploadPackWithSidechannel"

// packs is a node that answers a fetch with as many bytes as the client asks for.
func packs(v *visit) error {
	channel, err := sidechannel.Open(v.Context())
	if err != nil {
		return err
	}
	wanted, err := io.ReadAll(channel)
	if err != nil {
		return errors.Join(err, channel.Close())
	}
	size := 0
	if _, err := fmt.Sscan(string(wanted), &size); err != nil {
		return errors.Join(err, channel.Close())
	}
	piece := make([]byte, 64<<10)
	for ; size > 0 && err == nil; size -= len(piece) {
		_, err = channel.Write(piece[:min(size, len(piece))])
	}
	if err := errors.Join(err, channel.Close()); err != nil {
		return err
	}
	return v.SendMsg(&gitalypb.PostUploadPackWithSidechannelResponse{})
}

// fetcher fetches on one connection.
type fetcher struct {
	conn    *grpc.ClientConn
	waiting *sidechannel.Registry
}

// fetch asks for some bytes and counts those that come.
func (f fetcher) fetch(
	ctx context.Context, method string, size int, seen func(n int),
) (int, error) {
	got := 0
	waiter := f.waiting.Register(func(channel *sidechannel.ClientConn) error {
		_, err := fmt.Fprint(channel, size)
		if err := errors.Join(err, channel.CloseWrite()); err != nil {
			return err
		}
		buffer := make([]byte, 64<<10)
		for {
			n, err := channel.Read(buffer)
			got += n
			seen(n)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
	err := f.conn.Invoke(waiter.Outgoing(ctx), method,
		&gitalypb.PostUploadPackWithSidechannelRequest{Repository: target()},
		&gitalypb.PostUploadPackWithSidechannelResponse{})
	return got, errors.Join(err, waiter.Close())
}

// TestCloneBesideFetches clones a gigabyte through one connection while 50 fetches of both kinds
// run on it beside. Nodes, proxy and client are all in this process, and all of them together hold
// a small part of what passes.
//
//nolint:paralleltest // other tests' memory must not be counted
func TestCloneBesideFetches(t *testing.T) {
	const (
		whole   = 1 << 30
		fetches = 50
		size    = 256 << 10
		limit   = 192 << 20
	)
	c := newCluster(t, func(s *settings) { s.log = zap.NewNop() })
	c.onAll(uploadPack, packs)
	c.onAll(sshUploadPack, packs)
	conn, waiting := c.dialMultiplexed()
	client := fetcher{conn: conn, waiting: waiting}
	half, peak := make(chan struct{}), atomic.Uint64{}
	var passed int
	var running sync.WaitGroup
	running.Go(func() {
		begun := sync.OnceFunc(func() { close(half) })
		defer begun()
		got, err := client.fetch(t.Context(), uploadPack, whole, func(n int) {
			passed += n
			if passed > whole/8 {
				begun()
			}
			if passed/(64<<20) != (passed-n)/(64<<20) {
				var memory runtime.MemStats
				runtime.ReadMemStats(&memory)
				peak.Store(max(peak.Load(), memory.HeapInuse))
			}
		})
		assert.Equal(t, whole, got)
		assert.NoError(t, err)
	})
	<-half
	for i := range fetches {
		running.Go(func() {
			method := []string{uploadPack, sshUploadPack}[i%2]
			got, err := client.fetch(t.Context(), method, size, func(int) {})
			assert.Equal(t, size, got)
			assert.NoError(t, err)
		})
	}
	running.Wait()
	require.Less(t, peak.Load(), uint64(limit))
}

// TestFailureOfAFetch maps what fails to what the client is told.
func TestFailureOfAFetch(t *testing.T) {
	t.Parallel()
	limited := status.Error(codes.ResourceExhausted, "maximum concurrency reached")
	for name, tc := range map[string]struct {
		do   script
		code codes.Code
		text string
	}{
		"refused before the sidechannel": {
			do: func(*visit) error { return limited }, code: codes.ResourceExhausted,
			text: "maximum concurrency reached",
		},
		"refused after it": {
			do: func(v *visit) error {
				channel, err := sidechannel.Open(v.Context())
				if err != nil {
					return err
				}
				_, err = io.ReadAll(channel)
				return errors.Join(err, channel.Close(), limited)
			},
			code: codes.ResourceExhausted, text: "maximum concurrency reached",
		},
		"nothing opened": {
			do: func(v *visit) error {
				return v.SendMsg(&gitalypb.PostUploadPackWithSidechannelResponse{})
			},
			code: codes.OK,
		},
	} {
		for _, method := range []string{uploadPack, sshUploadPack} {
			t.Run(name+method, func(t *testing.T) {
				t.Parallel()
				c := newCluster(t)
				c.onAll(method, func(v *visit) error { return asStatus(tc.do(v)) })
				conn, waiting := c.dialMultiplexed()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_, err := fetcher{conn, waiting}.fetch(ctx, method, 1, func(int) {})
				if tc.code == codes.OK {
					require.ErrorIs(t, err, sidechannel.ErrNotOpened, "and nothing else")
					return
				}
				require.ErrorContains(t, err, tc.text)
				require.ErrorContains(t, err, tc.code.String())
			})
		}
	}
}

// asStatus finds the status among errors that were joined.
func asStatus(err error) error {
	var carried interface{ GRPCStatus() *status.Status }
	if errors.As(err, &carried) {
		return carried.GRPCStatus().Err()
	}
	return err
}
