package proxy

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"praefect/proxy/method"
	"praefect/proxy/relay"
)

// recorded is a stream that records what is sent.
type recorded struct {
	grpc.ServerStream
	sent []string
	fail func() error
}

// SendMsg implements grpc.ServerStream.
func (r *recorded) SendMsg(message any) error {
	text := "decoded"
	if frame, ok := message.(*relay.Frame); ok {
		text = string(frame.Data().Materialize())
	}
	r.sent = append(r.sent, text)
	if r.fail != nil {
		return r.fail()
	}
	return nil
}

// Context implements grpc.ServerStream.
func (*recorded) Context() context.Context { return context.Background() }

// SetTrailer implements grpc.ServerStream.
func (*recorded) SetTrailer(metadata.MD) {}

func frame(text string) *relay.Frame {
	made := relay.NewFrame(mem.BufferSlice{mem.SliceBuffer(text)})
	return &made
}

// TestTheOnlyAnswerIsSentLast keeps the answer of a method that answers once, and nothing else.
func TestTheOnlyAnswerIsSentLast(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed")
	for name, tc := range map[string]struct {
		once          bool
		send          []any
		failed        error
		before, after []string
	}{
		"answer":    {once: true, send: []any{frame("a")}, after: []string{"a"}},
		"no answer": {once: true},
		"failure":   {once: true, send: []any{frame("a")}, failed: failed},
		"one too many": {
			once: true, send: []any{frame("a"), frame("b")},
			before: []string{"a"}, after: []string{"a", "b"},
		},
		"decoded": {
			once: true, send: []any{&emptypb.Empty{}},
			before: []string{"decoded"}, after: []string{"decoded"},
		},
		"many answers": {
			send:   []any{frame("a"), frame("b")},
			before: []string{"a", "b"}, after: []string{"a", "b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream := &recorded{}
			e := &entered{ServerStream: stream, ctx: t.Context(), once: tc.once}
			for _, message := range tc.send {
				require.NoError(t, e.SendMsg(message))
				if given, ok := message.(*relay.Frame); ok {
					given.Free() // as every caller does
				}
			}
			require.Equal(t, tc.before, stream.sent)
			require.Equal(t, tc.failed, e.finish(&around{}, tc.failed))
			require.Equal(t, tc.after, stream.sent)
		})
	}
}

// TestTheOnlyAnswerIsNotSent tells of a client that is gone, and of a panic.
func TestTheOnlyAnswerIsNotSent(t *testing.T) {
	t.Parallel()
	gone := status.Error(codes.Unavailable, "gone")
	handler := &Handler{Dependencies: Dependencies{Methods: method.Builtin()}}
	a := newAround(handler, zap.NewNop(), LogFilter{})
	for name, tc := range map[string]struct {
		fail func() error
		want codes.Code
	}{
		"gone":  {func() error { return gone }, codes.Unavailable},
		"panic": {func() error { panic("broken") }, codes.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &entered{
				ServerStream: &recorded{fail: tc.fail}, ctx: t.Context(), once: true,
			}
			require.NoError(t, e.SendMsg(frame("a")))
			require.Equal(t, tc.want, status.Code(e.finish(a, nil)))
		})
	}
}
