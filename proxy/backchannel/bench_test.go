package backchannel_test

import (
	"io"
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc/credentials/insecure"

	"praefect/proxy/backchannel"
)

// cpu returns the processor time that this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkStream moves bytes over the first stream of a connection, both
// ends in this process. cpu-ns/op is the processor time of both.
func BenchmarkStream(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 64 << 10} {
		b.Run(strconv.Itoa(size>>10)+"KiB", func(b *testing.B) {
			writer, reader := linked(b)
			drained := make(chan error, 1)
			go func() {
				buffer := make([]byte, 64<<10)
				var err error
				for err == nil {
					_, err = reader.Read(buffer)
				}
				drained <- err
			}()
			block := make([]byte, size)
			b.SetBytes(int64(size))
			start := cpu(b)
			for b.Loop() {
				if _, err := writer.Write(block); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpu(b)-start)/float64(b.N), "cpu-ns/op")
			require.NoError(b, writer.Close())
			require.ErrorIs(b, <-drained, io.EOF)
		})
	}
}

// linked returns the two ends of a first stream.
func linked(b *testing.B) (client, server net.Conn) {
	b.Helper()
	clientRaw, serverRaw := rawPair(b)
	require.NoError(b, clientRaw.SetDeadline(time.Time{}))
	peers := backchannel.NewPeers(zap.NewNop())
	accepting := backchannel.NewServer(
		insecure.NewCredentials(), peers, zap.NewNop(), backchannel.DefaultConfig())
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, _, err := accepting.ServerHandshake(serverRaw)
		if err != nil {
			b.Error(err)
		}
		accepted <- conn
	}()
	mux := backchannel.NewClient(insecure.NewCredentials(), backchannel.Services{},
		zap.NewNop(), backchannel.DefaultConfig())
	client, _, err := mux.ClientHandshake(b.Context(), "node", clientRaw)
	require.NoError(b, err)
	server = <-accepted
	b.Cleanup(func() {
		require.NoError(b, mux.Close())
		require.NoError(b, server.Close())
		require.NoError(b, peers.Close())
	})
	return client, server
}

// BenchmarkCall makes calls without payload, multiplexed.
func BenchmarkCall(b *testing.B) {
	server := startServer(b, servingOptions{})
	client := dial(b, server.address, backchannel.Services{})
	ctx := b.Context()
	require.NoError(b, client.check(ctx))
	start := cpu(b)
	for b.Loop() {
		if err := client.check(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpu(b)-start)/float64(b.N), "cpu-ns/op")
}
