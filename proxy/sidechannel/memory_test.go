package sidechannel_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	"praefect/proxy/backchannel"
	"praefect/proxy/sidechannel"
)

func outgoing(ctx context.Context, md metadata.MD) context.Context {
	return metadata.NewOutgoingContext(ctx, md)
}

// sending is a server's part that sends so many bytes.
func sending(total int) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		conn, err := sidechannel.Open(ctx)
		if err != nil {
			return err
		}
		block := make([]byte, 64<<10)
		for sent := 0; sent < total && err == nil; sent += len(block) {
			_, err = conn.Write(block)
		}
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// fetchAll reads so many bytes through client's sidechannel.
func fetchAll(ctx context.Context, t testing.TB, client *party, total int) {
	t.Helper()
	buffer := make([]byte, 64<<10)
	got := 0
	call, channel := client.fetch(ctx, func(conn *sidechannel.ClientConn) error {
		for {
			n, err := conn.Read(buffer)
			got += n
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
	require.NoError(t, call)
	require.NoError(t, channel)
	require.Equal(t, total, got)
}

// TestRelayMemory passes 64 MiB through client, proxy and node in this one
// process and counts everything that was allocated on the way.
//
//nolint:paralleltest // other tests' memory must not be counted
func TestRelayMemory(t *testing.T) {
	const (
		total = 64 << 20
		limit = total / 4 // the library grows its buffers anew for each stream
	)
	cfg := smallWindows()
	proxy, _ := relayTo(t, serve(t, cfg, sending(total)), cfg)
	client := join(t, proxy, cfg)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fetchAll(within(t), t, client, total)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(limit))
}

// BenchmarkRelay moves bytes from a node through a proxy to a client, all
// three in this process; direct leaves the proxy out.
func BenchmarkRelay(b *testing.B) {
	const total = 64 << 20
	cfg := backchannel.DefaultConfig()
	node := serve(b, cfg, sending(total))
	proxy, relaying := relayTo(b, node, cfg)
	for name, address := range map[string]string{"direct": node, "relayed": proxy} {
		b.Run(name, func(b *testing.B) {
			client := join(b, address, cfg)
			b.SetBytes(total)
			for b.Loop() {
				fetchAll(b.Context(), b, client, total)
				select {
				case err := <-relaying.relays:
					require.NoError(b, err)
				default:
				}
			}
		})
	}
}
