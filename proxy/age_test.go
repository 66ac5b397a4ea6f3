package proxy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
)

// TestConnectionsAge lets connections grow old under a call that goes on, plain and multiplexed:
// the client connects anew for the next call, and the call under way ends as if nothing had been.
func TestConnectionsAge(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"plain", "multiplexed"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, func(s *settings) {
				s.server.MaxConnectionAge = 200 * time.Millisecond
			})
			conn := c.client
			if kind == "multiplexed" {
				conn, _ = c.dialMultiplexed()
			}
			arrived, release := make(chan struct{}, 1), make(chan struct{})
			c.onAll(listRefs, func(v *visit) error {
				arrived <- struct{}{}
				<-release
				return answerRefExists(v)
			})
			long, err := conn.NewStream(
				t.Context(), &grpc.StreamDesc{ServerStreams: true}, listRefs)
			require.NoError(t, err)
			require.NoError(t, long.SendMsg(extraRequest()))
			require.NoError(t, long.CloseSend())
			<-arrived
			// GOAWAY takes the client off Ready, although its call goes on.
			require.Eventually(t, func() bool {
				return conn.GetState() != connectivity.Ready
			}, patience, time.Millisecond)
			c.onAll(refExists, answerRefExists)
			require.NoError(t, conn.Invoke(t.Context(), refExists, extraRequest(), extraRequest()))
			close(release)
			assert.NoError(t, long.RecvMsg(extraRequest()), "nobody was cut off")
		})
	}
}
