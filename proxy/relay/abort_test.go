package relay_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/proxy/relay"
)

// phased is a node that tells when it has received so many messages and then reads to the end.
type phased struct {
	after   int
	reached chan struct{}
	// end receives how the input ended.
	end chan error
}

func newPhased(after int) *phased {
	return &phased{after: after, reached: make(chan struct{}), end: make(chan error, 1)}
}

func (p *phased) read(stream grpc.ServerStream) error {
	for i := 0; ; i++ {
		if i == p.after {
			close(p.reached)
		}
		if _, err := receive(stream); err != nil {
			p.end <- err
			return status.Error(codes.Aborted, "early end")
		}
	}
}

func TestFanClientGoneInTheUpload(t *testing.T) {
	t.Parallel()
	for _, after := range []int{1, 2, 50} {
		nodes := []*phased{newPhased(after), newPhased(after), newPhased(after)}
		r := newRig(t, relay.DefaultConfig(), nodes[0].read, nodes[1].read, nodes[2].read)
		v := newVotes()
		causes := make(chan error, 1)
		r.fanning(shape{client: true, server: true}, v, func(
			_ grpc.ServerStream, fan *relay.Fan, answer relay.Answer,
		) error {
			causes <- answer.Cause
			return errors.Join(fan.Withhold(), answer.Cause)
		})
		ctx, cancel := context.WithCancel(t.Context())
		r.call(ctx, payloads(after, 5000)...)
		for _, node := range nodes {
			within(t, 10*time.Second, node.reached)
		}
		cancel()
		// The nodes see an ordinary end of input, and only after the votes were aborted.
		for _, node := range nodes {
			require.ErrorIs(t, <-node.end, io.EOF)
		}
		require.ErrorIs(t, <-causes, context.Canceled)
		require.NoError(t, r.relay.Close(t.Context()))
		require.Equal(t, "abort", v.log()[0])
		require.ElementsMatch(t, []string{
			"abort", "ended node-0", "ended node-1", "ended node-2", "left",
		}, v.log())
	}
}

func TestFanClientGoneAfterTheUpload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		cancelled := make(chan struct{})
		waits := func(stream grpc.ServerStream) error {
			select {
			case <-release:
			case <-stream.Context().Done():
				close(cancelled)
			}
			return nil
		}
		r := newRig(t, relay.DefaultConfig(), waits, eofThen(nil))
		v := newVotes()
		r.writing(shape{client: true}, v)
		ctx, cancel := context.WithCancel(t.Context())
		stream := r.call(ctx, payload(0, 10))
		require.NoError(t, stream.CloseSend())
		synctest.Wait()
		cancel()
		<-v.aborted
		synctest.Wait()
		require.NotContains(t, v.log(), "left")
		close(release)
		synctest.Wait()
		require.Equal(t, []string{"ended node-1", "abort", "ended node-0", "left"}, v.log())
		select {
		case <-cancelled:
			t.Fatal("the call to a node was cancelled")
		default:
		}
	})
}

func TestFanClientGoneInTheAnswer(t *testing.T) {
	t.Parallel()
	answering := make(chan struct{})
	done := make(chan error, 1)
	r := newRig(t, relay.DefaultConfig(), func(stream grpc.ServerStream) error {
		close(answering)
		// More than all windows hold, so that the client's absence is felt.
		for i := range 200 {
			if err := send(stream, payload(i, 100_000)); err != nil {
				done <- err
				return err
			}
		}
		done <- nil
		return nil
	})
	v := newVotes()
	r.writing(shape{server: true}, v)
	ctx, cancel := context.WithCancel(t.Context())
	r.call(ctx, payload(0, 10))
	within(t, 10*time.Second, answering)
	cancel()
	// The primary is read to its end although nobody takes it any more.
	require.NoError(t, <-done)
	require.NoError(t, r.relay.Close(t.Context()))
}

func TestFanClientDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, relay.DefaultConfig(), func(stream grpc.ServerStream) error {
			if _, err := receive(stream); err != nil {
				return err
			}
			_, err := receive(stream)
			return err
		})
		v := newVotes()
		causes := make(chan error, 1)
		r.fanning(shape{client: true}, v, func(
			_ grpc.ServerStream, _ *relay.Fan, answer relay.Answer,
		) error {
			causes <- answer.Cause
			return answer.Cause
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := receiveAll(r.call(ctx, payload(0, 10)))
		require.Equal(t, codes.DeadlineExceeded, status.Code(err))
		// The client's reset and the proxy's own clock race for the cause.
		require.Error(t, <-causes)
		synctest.Wait()
		require.Equal(t, []string{"abort", "ended node-0", "left"}, v.log())
	})
}

// stuck is a node that does nothing until its call is cancelled, and tells when that was.
func stuck(cancelled chan<- time.Duration) script {
	return func(stream grpc.ServerStream) error {
		start := time.Now()
		<-stream.Context().Done()
		cancelled <- time.Since(start)
		return nil
	}
}

func TestFanCancelsLast(t *testing.T) {
	t.Parallel()
	config := relay.DefaultConfig()
	tests := map[string]struct {
		locked bool
		want   time.Duration
	}{
		"without locks": {want: config.DrainAborted},
		"with locks":    {locked: true, want: config.DrainAborted + config.DrainLocked},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cancelled := make(chan time.Duration, 2)
				r := newRig(t, config, stuck(cancelled), stuck(cancelled))
				v := newVotes()
				v.lock("node-0", tc.locked)
				v.lock("node-1", tc.locked)
				r.writing(shape{client: true}, v)
				ctx, cancel := context.WithCancel(t.Context())
				r.call(ctx, payload(0, 10))
				synctest.Wait()
				cancel()
				require.Equal(t, tc.want, <-cancelled)
				require.Equal(t, tc.want, <-cancelled)
				synctest.Wait()
				events := v.log()
				require.Equal(t, "abort", events[0])
				require.Equal(t, "left", events[len(events)-1])
			})
		})
	}
}

// TestFanDoesNotWaitForLocks returns to the handler, which may hold the turn of the repository,
// when the nodes had their time, although one of them hangs with its locks.
func TestFanDoesNotWaitForLocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cancelled := make(chan time.Duration, 1)
		config := relay.DefaultConfig()
		r := newRig(t, config, eofThen(nil), stuck(cancelled))
		v := newVotes()
		v.lock("node-1", true)
		returned := make(chan []relay.End, 1)
		r.fanning(shape{client: true}, v, func(
			_ grpc.ServerStream, fan *relay.Fan, answer relay.Answer,
		) error {
			returned <- fan.Ends()
			return answer.Cause
		})
		ctx, cancel := context.WithCancel(t.Context())
		r.call(ctx, payload(0, 10))
		synctest.Wait()
		begin := time.Now()
		cancel()
		ends := <-returned
		require.Equal(t, config.DrainAborted, time.Since(begin))
		require.True(t, ends[0].Seen)
		require.False(t, ends[1].Over)
		require.Equal(t, config.DrainAborted+config.DrainLocked, <-cancelled)
		require.NoError(t, r.relay.Close(t.Context()))
		require.Equal(t, "left", v.log()[len(v.log())-1])
	})
}

func TestFanCancelsASecondaryThatNeverEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cancelled := make(chan time.Duration, 1)
		config := relay.DefaultConfig()
		r := newRig(t, config, eofThen(nil), stuck(cancelled))
		v := newVotes()
		r.writing(shape{}, v)
		stream := r.call(t.Context(), payload(0, 10))
		require.NoError(t, stream.CloseSend())
		_, err := receiveAll(stream)
		require.NoError(t, err)
		require.Equal(t, config.Drain, <-cancelled)
		require.NoError(t, r.relay.Close(t.Context()))
		require.Equal(t, []string{"ended node-0", "lost node-1", "left"}, v.log())
	})
}

func TestFanBroken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVotes()
		released := make(chan struct{})
		primary := func(stream grpc.ServerStream) error {
			<-released
			return send(stream, payload(0, 10))
		}
		r := newRig(t, relay.DefaultConfig(), primary, eofThen(nil))
		r.fanning(shape{server: true}, v, func(
			_ grpc.ServerStream, fan *relay.Fan, answer relay.Answer,
		) error {
			require.ErrorIs(t, answer.Cause, relay.ErrVotesBroken)
			require.NoError(t, fan.Withhold())
			return status.Error(codes.Internal, "unknown")
		})
		stream := r.call(t.Context(), payload(0, 10))
		require.NoError(t, stream.CloseSend())
		synctest.Wait()
		// Whoever counts the votes tells first, and lets the nodes go on then.
		close(v.broken)
		close(released)
		messages, err := receiveAll(stream)
		require.Equal(t, codes.Internal, status.Code(err))
		require.Empty(t, messages, "what follows from a release must not reach the client")
		require.NoError(t, r.relay.Close(t.Context()))
		require.Contains(t, v.log(), "abort")
	})
}

func TestFanOverdue(t *testing.T) {
	t.Parallel()
	t.Run("secondary", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			r := newRig(t, relay.DefaultConfig(), func(grpc.ServerStream) error {
				<-release
				return nil
			}, eofThen(nil))
			v := newVotes()
			r.writing(shape{client: true}, v)
			stream := r.call(t.Context(), payload(0, 10))
			synctest.Wait()
			v.overdue <- "node-1"
			synctest.Wait()
			// Its input is closed, so it ends.
			require.Equal(t, []string{"lost node-1", "ended node-1"}, v.log())
			close(release)
			_, err := receiveAll(stream)
			require.NoError(t, err)
		})
	})
	t.Run("primary", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, relay.DefaultConfig(), eofThen(nil), eofThen(nil))
			v := newVotes()
			r.fanning(shape{client: true}, v, func(
				_ grpc.ServerStream, _ *relay.Fan, answer relay.Answer,
			) error {
				require.ErrorIs(t, answer.Cause, relay.ErrPrimaryOverdue)
				return status.Error(codes.Aborted, "overdue")
			})
			stream := r.call(t.Context(), payload(0, 10))
			synctest.Wait()
			v.overdue <- "node-0"
			_, err := receiveAll(stream)
			require.Equal(t, codes.Aborted, status.Code(err))
			require.NoError(t, r.relay.Close(t.Context()))
			require.Equal(t, []string{"lost node-0", "abort"}, v.log()[:2])
		})
	})
}

// TestFanOverdueWithoutReader ends a call whose client takes nothing of what the primary has sent,
// so that the relay stands in the middle of a message.
func TestFanOverdueWithoutReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, relay.DefaultConfig(), func(stream grpc.ServerStream) error {
			// More than all windows hold.
			for i := range 500 {
				if err := send(stream, payload(i, 100_000)); err != nil {
					return err
				}
			}
			return nil
		})
		v := newVotes()
		causes := make(chan error, 1)
		r.fanning(shape{server: true}, v, func(
			_ grpc.ServerStream, fan *relay.Fan, answer relay.Answer,
		) error {
			causes <- answer.Cause
			return errors.Join(fan.Withhold(), answer.Cause)
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stream := r.call(ctx, payload(0, 10))
		require.NoError(t, stream.CloseSend())
		synctest.Wait()
		require.NotContains(t, v.log(), "ended node-0", "it is still sending")
		v.overdue <- "node-0"
		require.ErrorIs(t, <-causes, relay.ErrPrimaryOverdue)
		// What is left of the answer goes nowhere, so the primary comes to its end.
		require.NoError(t, r.relay.Close(t.Context()))
		require.Equal(t, []string{"lost node-0", "abort", "ended node-0", "left"}, v.log())
	})
}

func TestFanBoundsDraining(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		config := relay.DefaultConfig()
		config.Draining = 2
		cancelled := make(chan time.Duration, 3)
		r := newRig(t, config, eofThen(nil), stuck(cancelled))
		r.writing(shape{}, silent{})
		write := func() error {
			stream := r.call(t.Context(), payload(0, 10))
			require.NoError(t, stream.CloseSend())
			_, err := receiveAll(stream)
			return err
		}
		require.NoError(t, write())
		require.NoError(t, write())
		synctest.Wait()
		require.ErrorContains(t, write(), relay.ErrDraining.Error())
		require.NoError(t, r.relay.Close(t.Context()))
		require.NoError(t, write())
		require.NoError(t, r.relay.Close(t.Context()))
	})
}

// silent is a Voting of a call in which nobody votes.
type silent struct{ relay.Unvoted }

func TestCloseGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, relay.DefaultConfig(), eofThen(nil), stuck(make(chan time.Duration, 1)))
		r.writing(shape{}, silent{})
		stream := r.call(t.Context(), payload(0, 10))
		require.NoError(t, stream.CloseSend())
		_, err := receiveAll(stream)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, r.relay.Close(ctx), context.DeadlineExceeded)
	})
}

func TestAbortedUploadsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	const uploads = 200
	reached := make(chan struct{}, 3*uploads)
	node := func(stream grpc.ServerStream) error {
		_, err := receive(stream)
		reached <- struct{}{}
		for err == nil {
			_, err = receive(stream)
		}
		return status.Error(codes.Aborted, "early end")
	}
	r := newRig(t, relay.DefaultConfig(), node, node, node)
	r.writing(shape{client: true, server: true}, silent{})
	upload := func() {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r.call(ctx, payloads(4, 30_000)...)
		for range 3 {
			<-reached
		}
	}
	upload()
	require.NoError(t, r.relay.Close(t.Context()))
	before := runtime.NumGoroutine()
	for range uploads {
		upload()
	}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Less(c, runtime.NumGoroutine(), before+20)
	}, 10*time.Second, 10*time.Millisecond)
}
