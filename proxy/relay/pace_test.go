package relay_test

import (
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"praefect/proxy/relay"
)

const messageBytes = 128 << 10

// paced is a node that takes some time for each message. It counts what it has received.
func paced(count *atomic.Int64, perMessage time.Duration) script {
	return func(stream grpc.ServerStream) error {
		for {
			_, err := receive(stream)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			count.Add(1)
			<-time.After(perMessage)
		}
	}
}

// tight is a configuration with small buffers, so that a slow node is noticed soon.
func tight() relay.Config {
	config := relay.DefaultConfig()
	config.DestinationBytes = 2 * messageBytes
	return config
}

// push uploads messages through the proxy and returns how long that took.
func (r *rig) push(messages [][]byte) time.Duration {
	r.t.Helper()
	start := time.Now()
	stream := r.call(r.t.Context(), messages...)
	require.NoError(r.t, stream.CloseSend())
	_, err := receiveAll(stream)
	require.NoError(r.t, err)
	return time.Since(start)
}

func TestUploadEjectsANodeThatStandsStill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var primary, healthy recorder
		release := make(chan struct{})
		r := newRig(t, tight(), primary.read, func(grpc.ServerStream) error {
			<-release
			return nil
		}, healthy.read)
		v := newVotes()
		r.writing(shape{client: true}, v)
		messages := payloads(400, messageBytes)
		require.Equal(t, tight().Patience, r.push(messages))
		require.Contains(t, v.log(), "lost node-1")
		close(release)
		require.NoError(t, r.relay.Close(t.Context()))
		requireSame(t, messages, primary.all())
		requireSame(t, messages, healthy.all())
		require.Contains(t, v.log(), "ended node-1")
	})
}

// TestUploadThatWasCutIsKnown has a node stand still, be ejected, and end its call well with what
// it got of the upload until then.
func TestUploadThatWasCutIsKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var primary, slow recorder
		release := make(chan struct{})
		r := newRig(t, tight(), primary.read, func(stream grpc.ServerStream) error {
			<-release
			return slow.read(stream)
		})
		ends := make(chan []relay.End, 1)
		r.fanning(shape{client: true}, newVotes(), func(
			_ grpc.ServerStream, fan *relay.Fan, answer relay.Answer,
		) error {
			close(release)
			fan.Settle(time.Second)
			ends <- fan.Ends()
			return answer.Err
		})
		messages := payloads(400, messageBytes)
		r.push(messages)
		got := <-ends
		require.Less(t, len(slow.all()), len(messages))
		require.Equal(t, relay.End{Node: "node-0", Over: true, Seen: true}, got[0])
		require.Equal(t, relay.End{
			Node: "node-1", Over: true, Seen: true, Cut: true,
			Ejected: "the node read the upload too slowly",
		}, got[1])
	})
}

func TestUploadPatience(t *testing.T) {
	t.Parallel()
	// The library opens its windows in steps of up to 4 MiB, so a node has to read a few MiB a
	// second for its progress to be seen in time.
	tests := map[string]struct {
		perMessage time.Duration
		ejected    bool
		most       time.Duration
	}{
		"a little slower": {perMessage: 11500 * time.Microsecond, most: 17500 * time.Millisecond},
		"much slower": {
			perMessage: 40 * time.Millisecond, ejected: true, most: 20 * time.Second,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const messages = 1500 // 15 s for the primary
				config := relay.DefaultConfig()
				config.Patience, config.Pace = time.Second, 4<<20
				var primary, slower atomic.Int64
				r := newRig(t, config, paced(&primary, 10*time.Millisecond),
					paced(&slower, tc.perMessage))
				v := newVotes()
				r.writing(shape{client: true}, v)
				took := r.push(slices.Repeat([][]byte{payload(0, 64<<10)}, messages))
				require.Less(t, took, tc.most)
				require.NoError(t, r.relay.Close(t.Context()))
				require.EqualValues(t, messages, primary.Load())
				require.Equal(t, tc.ejected, slices.Contains(v.log(), "lost node-1"))
				require.Equal(t, !tc.ejected, slower.Load() == messages)
			})
		})
	}
}

func TestUploadGoesAtThePrimarysSpeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var primary atomic.Int64
		var faster recorder
		r := newRig(t, tight(), paced(&primary, time.Second), faster.read)
		v := newVotes()
		r.writing(shape{client: true}, v)
		messages := payloads(100, messageBytes)
		took := r.push(messages)
		require.Equal(t, 100*time.Second, took)
		require.NoError(t, r.relay.Close(t.Context()))
		requireSame(t, messages, faster.all())
		// What is in flight is bounded by the windows of the connections.
		require.Less(t, r.pool.max*16<<10, 4<<20)
	})
}

func TestUploadBoundsAllDestinationsTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		config := relay.DefaultConfig()
		config.TotalBytes = 1
		config.Patience = time.Hour
		var primary recorder
		release := make(chan struct{})
		r := newRig(t, config, primary.read, func(stream grpc.ServerStream) error {
			<-release
			return (&recorder{}).read(stream)
		})
		v := newVotes()
		r.writing(shape{client: true}, v)
		messages := payloads(50, messageBytes)
		done := make(chan time.Duration, 1)
		go func() { done <- r.push(messages) }()
		synctest.Wait()
		// One message waits, and as much as the connection holds.
		require.Less(t, len(primary.all()), 10)
		close(release)
		<-done
		requireSame(t, messages, primary.all())
	})
}

func TestUploadCopiesNothing(t *testing.T) {
	t.Parallel()
	messages := payloads(20, 1<<20)
	used := func(count int) int {
		nodes := make([]recorder, count)
		scripts := make([]script, count)
		for i := range nodes {
			scripts[i] = nodes[i].read
		}
		r := newRig(t, relay.DefaultConfig(), scripts...)
		r.writing(shape{client: true}, newVotes())
		r.push(messages)
		require.NoError(t, r.relay.Close(t.Context()))
		for i := range nodes {
			requireSame(t, messages, nodes[i].all())
		}
		r.pool.requireEmpty(t)
		return r.pool.bytes
	}
	require.Less(t, float64(used(3)), 1.1*float64(used(1)))
}
