package relay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	"praefect/proxy/relay"
	"praefect/transaction"
)

const method = "/test.Service/Method"

// script is what a node, or the proxy, does with a call.
type script func(stream grpc.ServerStream) error

// rig is a client, a proxy and nodes, connected by pipes in memory.
type rig struct {
	t       *testing.T
	relay   *relay.Relay
	metrics *relay.Metrics
	// pool provides all buffers that the proxy receives into.
	pool   *poisonPool
	nodes  []*grpc.ClientConn
	client *grpc.ClientConn

	mu     sync.Mutex
	handle script
}

func newRig(t *testing.T, config relay.Config, nodes ...script) *rig {
	t.Helper()
	r := &rig{t: t, pool: newPoisonPool(), metrics: relay.NewMetrics(nil)}
	var err error
	r.relay, err = relay.New(r.metrics, zaptest.NewLogger(t), config)
	require.NoError(t, err)
	for _, node := range nodes {
		listener := serve(t, node)
		options := append(relay.DialOptions(), experimental.WithBufferPool(r.pool))
		r.nodes = append(r.nodes, dial(t, listener, options...))
	}
	r.client = dial(t, serve(t, r.proxy, experimental.BufferPool(r.pool)))
	t.Cleanup(func() { require.NoError(t, r.relay.Close(context.Background())) })
	return r
}

// serve runs a server that gives every call to the script.
func serve(t *testing.T, handle script, options ...grpc.ServerOption) *bufconn.Listener {
	t.Helper()
	listener := bufconn.Listen(64 << 10)
	options = append(options, grpc.ForceServerCodecV2(relay.NewCodec()),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			return handle(stream)
		}))
	server := grpc.NewServer(options...)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	return listener
}

func dial(
	t *testing.T, listener *bufconn.Listener, options ...grpc.DialOption,
) *grpc.ClientConn {
	t.Helper()
	return dialFunc(t, listener.DialContext, options...)
}

func dialFunc(
	t *testing.T, dialer func(context.Context) (net.Conn, error), options ...grpc.DialOption,
) *grpc.ClientConn {
	t.Helper()
	options = append(options,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(relay.NewCodec())),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return dialer(ctx)
		}))
	conn, err := grpc.NewClient("passthrough:///node", options...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// refuse is a node that cannot be connected to.
func refuse(t *testing.T) *grpc.ClientConn {
	t.Helper()
	return dialFunc(t, func(context.Context) (net.Conn, error) {
		return nil, errors.New("connection refused")
	}, relay.DialOptions()...)
}

func (r *rig) proxy(stream grpc.ServerStream) error {
	r.mu.Lock()
	handle := r.handle
	r.mu.Unlock()
	return handle(stream)
}

// onCall sets what the proxy does with calls.
func (r *rig) onCall(handle script) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handle = handle
}

// destinations receives the first message and addresses it to all nodes.
func (r *rig) destinations(stream grpc.ServerStream) ([]relay.Destination, error) {
	var first relay.Frame
	defer first.Free()
	if err := stream.RecvMsg(&first); err != nil {
		return nil, err
	}
	incoming, _ := metadata.FromIncomingContext(stream.Context())
	to := make([]relay.Destination, 0, len(r.nodes))
	for i, node := range r.nodes {
		to = append(to, relay.Destination{
			Name: name(i), Conn: node, First: first.Share(),
			Metadata: metadata.Pairs("key", incoming.Get("key")[0], "node", string(name(i))),
		})
	}
	return to, nil
}

func name(i int) transaction.Voter { return transaction.Voter(fmt.Sprintf("node-%d", i)) }

// call starts a call to the proxy and sends messages.
func (r *rig) call(ctx context.Context, messages ...[]byte) grpc.ClientStream {
	r.t.Helper()
	ctx = metadata.AppendToOutgoingContext(ctx, "key", "value")
	description := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	stream, err := r.client.NewStream(ctx, description, method)
	require.NoError(r.t, err)
	for _, message := range messages {
		require.NoError(r.t, send(stream, message))
	}
	return stream
}

type sender interface{ SendMsg(message any) error }

type receiver interface{ RecvMsg(message any) error }

func send(stream sender, message []byte) error {
	frame := relay.NewFrame(mem.BufferSlice{mem.SliceBuffer(message)})
	return stream.SendMsg(&frame)
}

func receive(stream receiver) ([]byte, error) {
	var frame relay.Frame
	defer frame.Free()
	if err := stream.RecvMsg(&frame); err != nil {
		return nil, err
	}
	return frame.Data().Materialize(), nil
}

// receiveAll receives until the end. An error that is none means that the stream ended well.
func receiveAll(stream receiver) ([][]byte, error) {
	var messages [][]byte
	for {
		message, err := receive(stream)
		if errors.Is(err, io.EOF) {
			return messages, nil
		}
		if err != nil {
			return messages, err
		}
		messages = append(messages, message)
	}
}

// payload returns a message of that size which no other one is like.
func payload(number, size int) []byte {
	message := make([]byte, size)
	for i := range message {
		message[i] = byte(number*31 + i*7 + i>>8)
	}
	return message
}

func payloads(count, size int) [][]byte {
	messages := make([][]byte, count)
	for i := range messages {
		messages[i] = payload(i, size)
	}
	return messages
}

// requireSame compares without printing megabytes.
func requireSame(t *testing.T, want, got [][]byte) {
	t.Helper()
	require.Equal(t, len(want), len(got)) //nolint:testifylint // Len prints what it counts
	for i := range want {
		require.True(t, bytes.Equal(want[i], got[i]), "message %d differs", i)
	}
}

// recorder is a node that keeps what it receives.
type recorder struct {
	mu       sync.Mutex
	messages [][]byte
}

// read receives until the end of the input and returns the error that is not its end.
func (r *recorder) read(stream grpc.ServerStream) error {
	for {
		message, err := receive(stream)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		r.add(message)
	}
}

func (r *recorder) add(message []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, message)
}

func (r *recorder) all() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

// votes is a Voting that writes down what it is told.
type votes struct {
	overdue chan transaction.Voter
	broken  chan struct{}
	aborted chan struct{}

	mu     sync.Mutex
	events []string
	locked map[transaction.Voter]bool
}

func newVotes() *votes {
	return &votes{
		overdue: make(chan transaction.Voter), broken: make(chan struct{}),
		aborted: make(chan struct{}), locked: make(map[transaction.Voter]bool),
	}
}

func (v *votes) note(event string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.events = append(v.events, event)
}

func (v *votes) log() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.events)
}

func (v *votes) lock(node transaction.Voter, locked bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.locked[node] = locked
}

func (v *votes) Ended(node transaction.Voter) { v.note("ended " + string(node)) }

func (v *votes) Lost(node transaction.Voter) { v.note("lost " + string(node)) }

func (v *votes) MayHoldLocks(node transaction.Voter) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.locked[node]
}

func (v *votes) Abort() {
	v.note("abort")
	close(v.aborted)
}

func (v *votes) Overdue() <-chan transaction.Voter { return v.overdue }

func (v *votes) Broken() <-chan struct{} { return v.broken }

// within fails the test when the channel is not closed in time.
func within(t *testing.T, limit time.Duration, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatal("not in time")
	}
}
