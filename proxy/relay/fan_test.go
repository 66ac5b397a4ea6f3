package relay_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/proxy/relay"
)

// writing makes the proxy fan out each call. It answers as soon as the primary has ended.
func (r *rig) writing(s shape, v relay.Voting) {
	r.fanning(s, v, func(_ grpc.ServerStream, fan *relay.Fan, answer relay.Answer) error {
		err := errors.Join(answer.Err, answer.Cause)
		if err != nil {
			return errors.Join(fan.Withhold(), err)
		}
		return fan.Deliver()
	})
}

// fanning makes the proxy fan out each call, and calls conclude once the primary has ended.
func (r *rig) fanning(
	s shape, v relay.Voting,
	conclude func(stream grpc.ServerStream, fan *relay.Fan, answer relay.Answer) error,
) {
	r.onCall(func(stream grpc.ServerStream) error {
		to, err := r.destinations(stream)
		if err != nil {
			return err
		}
		fan, err := r.relay.Open(stream, s.call(), to, v, zaptest.NewLogger(r.t))
		if err != nil {
			return err
		}
		defer fan.Leave(func() { note(v, "left") })
		return conclude(stream, fan, fan.Carry())
	})
}

func note(v relay.Voting, event string) {
	if v, ok := v.(*votes); ok {
		v.note(event)
	}
}

func TestFanCarriesToAll(t *testing.T) {
	t.Parallel()
	for name, shape := range shapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := make([]recorder, 3)
			answers := payloads(1, 5000)
			if shape.server {
				answers = payloads(20, 70_000)
			}
			answerer := func(node *recorder, answers [][]byte) script {
				return func(stream grpc.ServerStream) error {
					if err := node.read(stream); err != nil {
						return err
					}
					incoming, _ := metadata.FromIncomingContext(stream.Context())
					_ = stream.SetHeader(metadata.Pairs("h", incoming.Get("node")[0]))
					stream.SetTrailer(metadata.Pairs("t", incoming.Get("node")[0]))
					for _, answer := range answers {
						if err := send(stream, answer); err != nil {
							return err
						}
					}
					return nil
				}
			}
			other := payloads(3, 100_000)
			r := newRig(t, relay.DefaultConfig(), answerer(&nodes[0], answers),
				answerer(&nodes[1], other), answerer(&nodes[2], other))
			v := newVotes()
			r.writing(shape, v)
			questions := payloads(1, 5000)
			if shape.client {
				questions = payloads(50, 70_000)
			}
			stream := r.call(t.Context(), questions...)
			require.NoError(t, stream.CloseSend())
			got, err := receiveAll(stream)
			require.NoError(t, err)
			requireSame(t, answers, got)
			header, err := stream.Header()
			require.NoError(t, err)
			require.Equal(t, []string{"node-0"}, header.Get("h"))
			require.Equal(t, []string{"node-0"}, stream.Trailer().Get("t"))
			require.NoError(t, r.relay.Close(t.Context()))
			for i := range nodes {
				requireSame(t, questions, nodes[i].all())
			}
			want := []string{"ended node-0", "ended node-1", "ended node-2", "left"}
			require.ElementsMatch(t, want, v.log())
			require.Equal(t, "left", v.log()[3])
			r.pool.requireEmpty(t)
		})
	}
}

// eofThen reads the whole input and answers.
func eofThen(err error, answers ...[]byte) script {
	return func(stream grpc.ServerStream) error {
		var input recorder
		if readErr := input.read(stream); readErr != nil {
			return readErr
		}
		for _, answer := range answers {
			if sendErr := send(stream, answer); sendErr != nil {
				return sendErr
			}
		}
		return err
	}
}

func TestFanPrimaryFails(t *testing.T) {
	t.Parallel()
	for name, shape := range shapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, relay.DefaultConfig(), func(stream grpc.ServerStream) error {
				_ = stream.SetHeader(metadata.Pairs("h", "1"))
				stream.SetTrailer(metadata.Pairs("t", "2"))
				return detailed(t)
			}, eofThen(nil, payload(0, 10)), eofThen(nil))
			v := newVotes()
			r.fanning(shape, v, func(
				_ grpc.ServerStream, fan *relay.Fan, answer relay.Answer,
			) error {
				require.True(t, answer.Ended)
				require.NoError(t, fan.Withhold())
				return answer.Err
			})
			// The client does not end its input: nodes see its end nevertheless.
			stream := r.call(t.Context(), payload(0, 3000))
			messages, err := receiveAll(stream)
			require.Empty(t, messages)
			requireDetailed(t, err)
			require.Equal(t, []string{"2"}, stream.Trailer().Get("t"))
			header, err := stream.Header()
			require.NoError(t, err)
			require.Equal(t, []string{"1"}, header.Get("h"))
			require.NoError(t, r.relay.Close(t.Context()))
			want := []string{"ended node-0", "ended node-1", "ended node-2", "left"}
			require.ElementsMatch(t, want, v.log())
		})
	}
}

func TestFanTellsLostFromEnded(t *testing.T) {
	t.Parallel()
	r := newRig(t, relay.DefaultConfig(), func(stream grpc.ServerStream) error {
		<-stream.Context().Done()
		return nil
	})
	v := newVotes()
	answers := make(chan relay.Answer, 1)
	r.fanning(shape{}, v, func(_ grpc.ServerStream, _ *relay.Fan, answer relay.Answer) error {
		answers <- answer
		return answer.Err
	})
	r.nodes = append(r.nodes[:0:0], cutAfterOpen(t), refuse(t))
	_, err := receiveAll(r.call(t.Context(), payload(0, 10)))
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.False(t, (<-answers).Ended)
	require.NoError(t, r.relay.Close(t.Context()))
	require.ElementsMatch(t, []string{"lost node-0", "lost node-1", "left"}, v.log())
}

// cutAfterOpen connects to a node whose process dies when a call has arrived.
func cutAfterOpen(t *testing.T) *grpc.ClientConn {
	t.Helper()
	arrived := make(chan struct{})
	listener := serve(t, func(stream grpc.ServerStream) error {
		close(arrived)
		<-stream.Context().Done()
		return nil
	})
	return dialFunc(t, cutOn(listener.DialContext, arrived), relay.DialOptions()...)
}

func TestFanSecondariesFail(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		secondary script
		event     string
	}{
		"refused": {event: "lost node-1"},
		"at once": {
			secondary: func(grpc.ServerStream) error { return status.Error(codes.Internal, "x") },
			event:     "ended node-1",
		},
		"at once, well": {
			secondary: func(grpc.ServerStream) error { return nil },
			event:     "ended node-1",
		},
		"after some messages": {
			secondary: func(stream grpc.ServerStream) error {
				for range 7 {
					if _, err := receive(stream); err != nil {
						return err
					}
				}
				return status.Error(codes.ResourceExhausted, "disk full")
			},
			event: "ended node-1",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var primary, healthy recorder
			r := newRig(t, relay.DefaultConfig(), primary.read, tc.secondary, healthy.read)
			if tc.secondary == nil {
				r.nodes[1] = refuse(t)
			}
			v := newVotes()
			r.writing(shape{client: true}, v)
			messages := payloads(400, 64<<10)
			stream := r.call(t.Context(), messages...)
			require.NoError(t, stream.CloseSend())
			_, err := receiveAll(stream)
			require.NoError(t, err)
			require.NoError(t, r.relay.Close(t.Context()))
			requireSame(t, messages, primary.all())
			requireSame(t, messages, healthy.all())
			require.Contains(t, v.log(), tc.event)
		})
	}
}

func TestFanSecondaryIsCutOffInTheUpload(t *testing.T) {
	t.Parallel()
	var primary, healthy recorder
	r := newRig(t, relay.DefaultConfig(), primary.read, nil, healthy.read)
	seven := make(chan struct{})
	dying := serve(t, func(stream grpc.ServerStream) error {
		for range 7 {
			if _, err := receive(stream); err != nil {
				return err
			}
		}
		close(seven)
		<-stream.Context().Done()
		return nil
	})
	r.nodes[1] = dialFunc(t, cutOn(dying.DialContext, seven), relay.DialOptions()...)
	v := newVotes()
	r.writing(shape{client: true}, v)
	messages := payloads(800, 64<<10)
	stream := r.call(t.Context(), messages...)
	require.NoError(t, stream.CloseSend())
	_, err := receiveAll(stream)
	require.NoError(t, err)
	require.NoError(t, r.relay.Close(t.Context()))
	requireSame(t, messages, primary.all())
	requireSame(t, messages, healthy.all())
	require.Contains(t, v.log(), "lost node-1", "nobody saw how its call ended")
}

func TestFanHoldsASingleAnswerBack(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		shape shape
		held  bool
	}{
		"single": {shape: shape{}, held: true},
		"stream": {shape: shape{server: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, relay.DefaultConfig(), eofThen(nil, payload(1, 5000)))
			r.fanning(tc.shape, newVotes(), func(
				_ grpc.ServerStream, fan *relay.Fan, _ relay.Answer,
			) error {
				require.NoError(t, fan.Withhold())
				return status.Error(codes.Internal, "not recorded")
			})
			stream := r.call(t.Context(), payload(0, 10))
			require.NoError(t, stream.CloseSend())
			messages, err := receiveAll(stream)
			require.Equal(t, codes.Internal, status.Code(err))
			require.Equal(t, tc.held, len(messages) == 0)
			r.pool.requireEmpty(t)
		})
	}
}

// The primary's status has details, and the client is told something else.
func TestFanReplacesTheStatus(t *testing.T) {
	t.Parallel()
	r := newRig(t, relay.DefaultConfig(), func(stream grpc.ServerStream) error {
		stream.SetTrailer(metadata.Pairs("t", "2"))
		return detailed(t)
	})
	r.fanning(shape{}, newVotes(), func(_ grpc.ServerStream, fan *relay.Fan, _ relay.Answer) error {
		require.NoError(t, fan.Withhold())
		return status.Error(codes.Aborted, "not recorded")
	})
	stream := r.call(t.Context(), payload(0, 10))
	require.NoError(t, stream.CloseSend())
	_, err := receiveAll(stream)
	require.Equal(t, status.New(codes.Aborted, "not recorded").Proto(), status.Convert(err).Proto())
	require.Equal(t, []string{"2"}, stream.Trailer().Get("t"))
}

func TestFanAnswersBeforeSlowSecondaries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		slow := func(stream grpc.ServerStream) error {
			<-release
			return send(stream, payload(0, 10))
		}
		r := newRig(t, relay.DefaultConfig(), eofThen(nil, payload(1, 10)), slow)
		v := newVotes()
		r.writing(shape{}, v)
		start := time.Now()
		stream := r.call(t.Context(), payload(0, 10))
		require.NoError(t, stream.CloseSend())
		_, err := receiveAll(stream)
		require.NoError(t, err)
		require.Zero(t, time.Since(start))
		require.Equal(t, []string{"ended node-0"}, v.log())
		close(release)
		require.NoError(t, r.relay.Close(t.Context()))
		require.Equal(t, []string{"ended node-0", "ended node-1", "left"}, v.log())
	})
}

func TestFanSettles(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ lasts, settles time.Duration }{
		"in time": {lasts: 100 * time.Millisecond, settles: 100 * time.Millisecond},
		"late":    {lasts: time.Second, settles: 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, relay.DefaultConfig(), eofThen(nil), func(grpc.ServerStream) error {
					<-time.After(tc.lasts)
					return nil
				})
				v := newVotes()
				r.fanning(shape{}, v, func(
					_ grpc.ServerStream, fan *relay.Fan, _ relay.Answer,
				) error {
					start := time.Now()
					fan.Settle(500 * time.Millisecond)
					require.Equal(t, tc.settles, time.Since(start))
					inTime := tc.lasts == tc.settles
					end := relay.End{Node: "node-1", Over: inTime, Seen: inTime}
					require.Equal(t, end, fan.Ends()[1])
					return nil
				})
				stream := r.call(t.Context(), payload(0, 10))
				require.NoError(t, stream.CloseSend())
				_, err := receiveAll(stream)
				require.NoError(t, err)
			})
		})
	}
}

// buffering makes the proxy receive so many messages before it fans them out. It returns what is
// closed when nothing is left of the call, and how the call stood on the nodes then.
func (r *rig) buffering(count int, v relay.Voting) (<-chan struct{}, func() []relay.End) {
	left := make(chan struct{})
	var ends []relay.End
	r.onCall(func(stream grpc.ServerStream) error {
		to, err := r.destinations(stream)
		if err != nil {
			return err
		}
		call := shape{client: true}.call()
		call.Complete = true
		for range count - 1 {
			var frame relay.Frame
			if err := stream.RecvMsg(&frame); err != nil {
				return err
			}
			call.Rest = append(call.Rest, frame)
		}
		fan, err := r.relay.Open(stream, call, to, v, zaptest.NewLogger(r.t))
		if err != nil {
			return err
		}
		defer fan.Leave(func() {
			ends = fan.Ends()
			close(left)
		})
		answer := fan.Carry()
		return errors.Join(answer.Cause, answer.Err)
	})
	return left, func() []relay.End { return ends }
}

func TestFanCarriesABufferedRequest(t *testing.T) {
	t.Parallel()
	nodes := make([]recorder, 2)
	r := newRig(t, relay.DefaultConfig(), nodes[0].read, nodes[1].read)
	messages := payloads(5, 3000)
	r.buffering(len(messages), newVotes())
	stream := r.call(t.Context(), messages...)
	_, err := receiveAll(stream)
	require.NoError(t, err)
	require.NoError(t, r.relay.Close(t.Context()))
	requireSame(t, messages, nodes[0].all())
	requireSame(t, messages, nodes[1].all())
	r.pool.requireEmpty(t)
}

// TestFanCarriesAllOfABufferedRequest has a secondary begin to read when the primary has failed, or
// the client has gone. Nobody may vote on what is asked, so half of it would be done unnoticed.
func TestFanCarriesAllOfABufferedRequest(t *testing.T) {
	t.Parallel()
	// More than the windows hold of one call, so that most of it waits in the proxy.
	messages := payloads(40, 70_000)
	for name, leaves := range map[string]bool{"primary fails": false, "client has gone": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun, proceed := make(chan struct{}, 2), make(chan struct{})
			var primary, secondary recorder
			r := newRig(t, relay.DefaultConfig(), func(stream grpc.ServerStream) error {
				begun <- struct{}{}
				if !leaves {
					close(proceed)
					return status.Error(codes.Internal, "broken")
				}
				<-proceed
				return primary.read(stream)
			}, func(stream grpc.ServerStream) error {
				begun <- struct{}{}
				<-proceed
				return secondary.read(stream)
			})
			v := newVotes()
			left, ends := r.buffering(len(messages), v)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r.call(ctx, messages...)
			within(t, 10*time.Second, begun)
			within(t, 10*time.Second, begun)
			if leaves {
				cancel()
				within(t, 10*time.Second, v.aborted)
				close(proceed)
			}
			within(t, 10*time.Second, left)
			requireSame(t, messages, secondary.all())
			require.Equal(t, relay.End{Node: "node-1", Over: true, Seen: true}, ends()[1])
		})
	}
}

func TestFanDetachesTheNodes(t *testing.T) {
	t.Parallel()
	deadlines := make(chan bool, 2)
	node := func(stream grpc.ServerStream) error {
		_, has := stream.Context().Deadline()
		deadlines <- has
		return nil
	}
	r := newRig(t, relay.DefaultConfig(), node, node)
	r.writing(shape{}, newVotes())
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	_, err := receiveAll(r.call(ctx, payload(0, 10)))
	require.NoError(t, err)
	require.False(t, <-deadlines)
	require.False(t, <-deadlines)
}

func TestFanMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	relay.NewMetrics(registry)
	families, err := registry.Gather()
	require.NoError(t, err)
	require.NotEmpty(t, families)
}
