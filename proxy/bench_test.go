package proxy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"praefect/proxy/auth"
	"praefect/proxy/gitalypb"
)

// direct connects to a node as a client without a proxy would.
func (c *cluster) direct() *grpc.ClientConn {
	c.t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+c.nodes[0].address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(auth.Credentials(secret, nil)))
	require.NoError(c.t, err)
	c.t.Cleanup(func() { require.NoError(c.t, conn.Close()) })
	return conn
}

func quiet(s *settings) { s.log = zap.NewNop() }

// BenchmarkRead is a small unary read on real connections, with everything around it. All parts
// share the processors, so what counts is the ratio.
func BenchmarkRead(b *testing.B) {
	c := newCluster(b, quiet)
	c.onAll(refExists, func(v *visit) error {
		if err := v.RecvMsg(&gitalypb.RefExistsRequest{}); err != nil {
			return err
		}
		return v.SendMsg(&gitalypb.RefExistsResponse{Value: true})
	})
	for _, way := range []struct {
		name string
		conn *grpc.ClientConn
	}{{"direct", c.direct()}, {"proxy", c.client}} {
		b.Run(way.name, func(b *testing.B) {
			client := gitalypb.NewRefServiceClient(way.conn)
			request := &gitalypb.RefExistsRequest{Repository: target(), Ref: []byte("refs/x")}
			b.ReportAllocs()
			b.SetParallelism(4)
			before := processorTime(b)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := client.RefExists(b.Context(), request); err != nil {
						b.Error(err)
						return
					}
				}
			})
			spent := processorTime(b) - before
			b.ReportMetric(float64(spent.Microseconds())/float64(b.N), "cpu-us/op")
		})
	}
}

// processorTime is what the process has used, client and nodes included. Unlike the time that
// passes it hardly depends on what else the machine does.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage unix.Rusage
	require.NoError(b, unix.Getrusage(unix.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkWrite is a small unary write with votes on three nodes.
func BenchmarkWrite(b *testing.B) {
	c := newCluster(b, quiet)
	c.onAll(createBranch, change("v"))
	client := gitalypb.NewOperationServiceClient(c.client)
	request := &gitalypb.UserCreateBranchRequest{Repository: target()}
	b.ReportAllocs()
	for b.Loop() {
		_, err := client.UserCreateBranch(b.Context(), request)
		require.NoError(b, err)
	}
}
