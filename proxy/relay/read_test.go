package relay_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/proxy/relay"
)

// shape is who streams.
type shape struct{ client, server bool }

func shapes() map[string]shape {
	return map[string]shape{
		"unary":         {},
		"server stream": {server: true},
		"client stream": {client: true},
		"bidi":          {client: true, server: true},
	}
}

func (s shape) call() relay.Call {
	return relay.Call{Method: method, ClientStreams: s.client, ServerStreams: s.server}
}

// reading makes the proxy carry each call to the first node.
func (r *rig) reading(s shape) {
	r.onCall(func(stream grpc.ServerStream) error {
		to, err := r.destinations(stream)
		if err != nil {
			return err
		}
		for i := range to[1:] {
			to[i+1].First.Free()
		}
		return r.relay.Read(stream.Context(), stream, s.call(), to[0], nil)
	})
}

func TestReadCarriesEverything(t *testing.T) {
	t.Parallel()
	for name, shape := range shapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var node recorder
			answers := payloads(1, 5000)
			if shape.server {
				answers = payloads(20, 70_000)
			}
			questions := payloads(1, 5000)
			if shape.client {
				questions = payloads(20, 70_000)
			}
			r := newRig(t, relay.DefaultConfig(), func(stream grpc.ServerStream) error {
				incoming, _ := metadata.FromIncomingContext(stream.Context())
				if err := node.read(stream); err != nil {
					return err
				}
				for i, answer := range answers {
					if i == 0 {
						_ = stream.SetHeader(metadata.Pairs("h", incoming.Get("key")[0]))
					}
					if err := send(stream, answer); err != nil {
						return err
					}
				}
				stream.SetTrailer(metadata.Pairs("t", incoming.Get("node")[0]))
				return nil
			})
			r.reading(shape)
			stream := r.call(t.Context(), questions...)
			require.NoError(t, stream.CloseSend())
			got, err := receiveAll(stream)
			require.NoError(t, err)
			requireSame(t, answers, got)
			requireSame(t, questions, node.all())
			header, err := stream.Header()
			require.NoError(t, err)
			require.Equal(t, []string{"value"}, header.Get("h"))
			require.Equal(t, []string{"node-0"}, stream.Trailer().Get("t"))
			r.pool.requireEmpty(t)
		})
	}
}

// detailed is a status with details.
func detailed(t *testing.T) error {
	t.Helper()
	with, err := status.New(codes.FailedPrecondition, "no").
		WithDetails(&errdetails.ErrorInfo{Reason: "because"})
	require.NoError(t, err)
	return with.Err()
}

func requireDetailed(t *testing.T, err error) {
	t.Helper()
	got := status.Convert(err)
	require.Equal(t, codes.FailedPrecondition, got.Code())
	require.Equal(t, "no", got.Message())
	require.Len(t, got.Details(), 1)
	info, ok := got.Details()[0].(*errdetails.ErrorInfo)
	require.True(t, ok)
	require.Equal(t, "because", info.GetReason())
}

func TestReadCarriesAFailure(t *testing.T) {
	t.Parallel()
	for name, shape := range shapes() {
		for _, headers := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, relay.DefaultConfig(), func(stream grpc.ServerStream) error {
					if headers {
						_ = stream.SendHeader(metadata.Pairs("h", "1"))
					}
					stream.SetTrailer(metadata.Pairs("t", "2"))
					return detailed(t)
				})
				r.reading(shape)
				stream := r.call(t.Context(), payload(0, 3000))
				messages, err := receiveAll(stream)
				require.Empty(t, messages)
				requireDetailed(t, err)
				require.Equal(t, []string{"2"}, stream.Trailer().Get("t"))
				header, err := stream.Header()
				require.NoError(t, err)
				if headers {
					require.Equal(t, []string{"1"}, header.Get("h"))
				}
			})
		}
	}
}

func TestReadEndsWithTheClient(t *testing.T) {
	t.Parallel()
	for name, shape := range shapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arrived, ended := make(chan struct{}), make(chan struct{})
			r := newRig(t, relay.DefaultConfig(), func(stream grpc.ServerStream) error {
				close(arrived)
				<-stream.Context().Done()
				close(ended)
				return stream.Context().Err()
			})
			r.reading(shape)
			ctx, cancel := context.WithCancel(t.Context())
			stream := r.call(ctx, payload(0, 3000))
			within(t, 10*time.Second, arrived)
			cancel()
			within(t, 10*time.Second, ended)
			_, err := receive(stream)
			require.Equal(t, codes.Canceled, status.Code(err))
		})
	}
}

func TestReadPassesTheDeadline(t *testing.T) {
	t.Parallel()
	deadlines := make(chan time.Time, 1)
	r := newRig(t, relay.DefaultConfig(), func(stream grpc.ServerStream) error {
		deadline, _ := stream.Context().Deadline()
		deadlines <- deadline
		return nil
	})
	r.reading(shape{server: true})
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	_, err := receiveAll(r.call(ctx, payload(0, 10)))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(time.Hour), <-deadlines, time.Minute)
}

func TestReadMessageTooLarge(t *testing.T) {
	t.Parallel()
	large := make([]byte, 4<<20+1)
	t.Run("from the node", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, relay.DefaultConfig(), func(stream grpc.ServerStream) error {
			return send(stream, large)
		})
		r.reading(shape{server: true})
		_, err := receiveAll(r.call(t.Context(), payload(0, 10)))
		require.Equal(t, codes.ResourceExhausted, status.Code(err))
		require.ErrorContains(t, err, "received message larger than max (4194305 vs. 4194304)")
	})
	t.Run("from the client", func(t *testing.T) {
		t.Parallel()
		ended := make(chan struct{})
		r := newRig(t, relay.DefaultConfig(), func(stream grpc.ServerStream) error {
			<-stream.Context().Done()
			close(ended)
			return nil
		})
		r.reading(shape{client: true, server: true})
		_, err := receiveAll(r.call(t.Context(), payload(0, 10), large))
		require.Equal(t, codes.ResourceExhausted, status.Code(err))
		require.ErrorContains(t, err, "received message larger than max (4194305 vs. 4194304)")
		within(t, 10*time.Second, ended)
	})
}

func TestReadTellsWhatMayBeRepeated(t *testing.T) {
	t.Parallel()
	unavailable := status.Error(codes.Unavailable, "going down")
	tests := map[string]struct {
		node       script
		repeatable func(shape) bool
	}{
		"refused before anything": {
			repeatable: func(shape) bool { return true },
		},
		"unavailable before the first message": {
			node:       func(grpc.ServerStream) error { return unavailable },
			repeatable: func(s shape) bool { return !s.client },
		},
		"unavailable after the first message": {
			node: func(stream grpc.ServerStream) error {
				return errors.Join(send(stream, payload(0, 10)), unavailable)
			},
			// A single answer is not passed on before its status is there.
			repeatable: func(s shape) bool { return s == shape{} },
		},
		"another status": {
			node:       func(grpc.ServerStream) error { return status.Error(codes.NotFound, "") },
			repeatable: func(shape) bool { return false },
		},
	}
	for name, tc := range tests {
		for kind, shape := range shapes() {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, relay.DefaultConfig(), tc.node)
				if tc.node == nil {
					r.nodes[0] = refuse(t)
				}
				result := make(chan error, 1)
				r.onCall(func(stream grpc.ServerStream) error {
					to, err := r.destinations(stream)
					if err != nil {
						return err
					}
					result <- r.relay.Read(stream.Context(), stream, shape.call(), to[0], nil)
					return nil
				})
				_, err := receiveAll(r.call(t.Context(), payload(0, 3000)))
				require.NoError(t, err)
				var repeatable *relay.RepeatableError
				require.Equal(t, tc.repeatable(shape), errors.As(<-result, &repeatable))
			})
		}
	}
}

// aside is an Aside that replaces the status.
type aside struct {
	begun  bool
	status error
}

func (a aside) Settle(error) error { return a.status }
func (a aside) Begun() bool        { return a.begun }

func TestReadWithDataAside(t *testing.T) {
	t.Parallel()
	broken := status.Error(codes.Unavailable, "copy failed")
	tests := map[string]struct {
		aside      aside
		repeatable bool
	}{
		"went well":               {aside: aside{begun: true}},
		"failed before it began":  {aside: aside{status: broken}, repeatable: true},
		"failed after some bytes": {aside: aside{status: broken, begun: true}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, relay.DefaultConfig(), func(stream grpc.ServerStream) error {
				return send(stream, payload(0, 10))
			})
			result := make(chan error, 1)
			r.onCall(func(stream grpc.ServerStream) error {
				to, err := r.destinations(stream)
				if err != nil {
					return err
				}
				result <- r.relay.Read(stream.Context(), stream, shape{}.call(), to[0], tc.aside)
				return nil
			})
			messages, err := receiveAll(r.call(t.Context(), payload(0, 10)))
			require.NoError(t, err)
			require.Equal(t, tc.aside.status == nil, len(messages) == 1)
			got := <-result
			require.ErrorIs(t, got, tc.aside.status)
			var repeatable *relay.RepeatableError
			require.Equal(t, tc.repeatable, errors.As(got, &repeatable))
		})
	}
}
