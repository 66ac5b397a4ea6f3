package relay_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"

	"praefect/proxy/relay"
)

// null is a node that reads everything and answers once.
func null(stream grpc.ServerStream) error {
	var frame relay.Frame
	defer frame.Free()
	for {
		err := stream.RecvMsg(&frame)
		if errors.Is(err, io.EOF) {
			return stream.SendMsg(&relay.Frame{})
		}
		if err != nil {
			return err
		}
		frame.Free()
	}
}

// echo is a node that answers the first message with as many bytes, some times.
func echo(times int) script {
	return func(stream grpc.ServerStream) error {
		var frame relay.Frame
		defer frame.Free()
		if err := stream.RecvMsg(&frame); err != nil {
			return err
		}
		for range times {
			if err := stream.SendMsg(&frame); err != nil {
				return err
			}
		}
		return nil
	}
}

// benchServe serves on a real socket: pipes in memory allocate what sockets do not.
func benchServe(
	b *testing.B, handle script, options ...grpc.ServerOption,
) *grpc.ClientConn {
	b.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(b.Context(), "tcp", "127.0.0.1:0")
	require.NoError(b, err)
	options = append(options, grpc.ForceServerCodecV2(relay.NewCodec()),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			return handle(stream)
		}))
	server := grpc.NewServer(options...)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	b.Cleanup(func() {
		server.Stop()
		<-served //nolint:errcheck // stopping is its only end
	})
	dialing := append(relay.DialOptions(),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(relay.NewCodec())),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	conn, err := grpc.NewClient("passthrough:///"+listener.Addr().String(), dialing...)
	require.NoError(b, err)
	b.Cleanup(func() { _ = conn.Close() })
	return conn
}

func benchRelay(b *testing.B) *relay.Relay {
	b.Helper()
	r, err := relay.New(relay.NewMetrics(nil), zap.NewNop(), relay.DefaultConfig())
	require.NoError(b, err)
	b.Cleanup(func() { _ = r.Close(b.Context()) })
	return r
}

// BenchmarkFanout uploads 1 MiB messages to several destinations. Buffers are not used again, so
// that every byte that is copied is a byte allocated: it must hardly depend on how many there are.
func BenchmarkFanout(b *testing.B) {
	benchFanout(b, experimental.BufferPool(mem.NopBufferPool{}))
}

// BenchmarkFanoutPooled is the same with buffers as they are used in production.
func BenchmarkFanoutPooled(b *testing.B) { benchFanout(b) }

func benchFanout(b *testing.B, options ...grpc.ServerOption) {
	b.Helper()
	for _, count := range []int{1, 3} {
		b.Run(fmt.Sprintf("destinations=%d", count), func(b *testing.B) {
			nodes := make([]*grpc.ClientConn, count)
			for i := range nodes {
				nodes[i] = benchServe(b, null)
			}
			r := benchRelay(b)
			client := benchServe(b, func(stream grpc.ServerStream) error {
				return fanout(r, stream, nodes)
			}, options...)
			message := payload(0, 1<<20)
			description := &grpc.StreamDesc{ClientStreams: true}
			stream, err := client.NewStream(b.Context(), description, method)
			require.NoError(b, err)
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, send(stream, message))
			}
			b.StopTimer()
			require.NoError(b, stream.CloseSend())
			_, err = receiveAll(stream)
			require.NoError(b, err)
		})
	}
}

// fanout carries an upload to nodes that do not vote.
func fanout(r *relay.Relay, stream grpc.ServerStream, nodes []*grpc.ClientConn) error {
	call := relay.Call{Method: method, ClientStreams: true}
	to := make([]relay.Destination, len(nodes))
	for i := range to {
		to[i] = relay.Destination{Name: name(i), Conn: nodes[i]}
	}
	fan, err := r.Open(stream, call, to, relay.Unvoted{}, zap.NewNop())
	if err != nil {
		return err
	}
	defer fan.Leave(func() {})
	if answer := fan.Carry(); answer.Err != nil {
		return answer.Err
	}
	return fan.Deliver()
}

// BenchmarkRead reads directly from a node and through a relay.
func BenchmarkRead(b *testing.B) {
	shapes := map[string]struct {
		call    relay.Call
		payload int
		times   int
	}{
		"unary": {call: relay.Call{Method: method}, payload: 200, times: 1},
		"stream": {
			call: relay.Call{Method: method, ServerStreams: true}, payload: 128 << 10, times: 100,
		},
	}
	for kind, shape := range shapes {
		node := benchServe(b, echo(shape.times))
		r := benchRelay(b)
		proxy := benchServe(b, func(stream grpc.ServerStream) error {
			to := relay.Destination{Name: "node", Conn: node, Metadata: metadata.MD{}}
			if err := stream.RecvMsg(&to.First); err != nil {
				return err
			}
			return r.Read(stream.Context(), stream, shape.call, to, nil)
		})
		for _, way := range []struct {
			name string
			conn *grpc.ClientConn
		}{{"direct", node}, {"relay", proxy}} {
			b.Run(kind+"/"+way.name, func(b *testing.B) {
				b.SetBytes(int64(shape.payload * shape.times))
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					message := payload(0, shape.payload)
					for pb.Next() {
						benchCall(b, way.conn, shape.call, message)
					}
				})
			})
		}
	}
}

func benchCall(b *testing.B, conn *grpc.ClientConn, call relay.Call, message []byte) {
	b.Helper()
	description := &grpc.StreamDesc{ServerStreams: call.ServerStreams}
	stream, err := conn.NewStream(b.Context(), description, method)
	if err != nil {
		b.Error(err)
		return
	}
	if err := send(stream, message); err != nil {
		b.Error(err)
		return
	}
	var frame relay.Frame
	defer frame.Free()
	for err == nil {
		err = stream.RecvMsg(&frame)
		if !call.ServerStreams {
			break
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.Error(err)
	}
}
