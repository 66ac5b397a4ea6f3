package proxy_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/coordinator"
	"praefect/proxy"
	"praefect/proxy/gitalypb"
)

// shaky panics when a connection is asked for, as often as it is told to.
type shaky struct {
	proxy.Connections
	panics *atomic.Int32
}

func (s shaky) Conn(virtualStorage, storage string) (grpc.ClientConnInterface, bool) {
	if s.panics.Add(-1) >= 0 {
		panic("no connection")
	}
	return s.Connections.Conn(virtualStorage, storage)
}

// amnesiac panics when a write is recorded.
type amnesiac struct {
	coordinator.Store
	panics *atomic.Int32
}

func (a amnesiac) Record(
	ctx context.Context, outcome coordinator.WriteOutcome,
) (coordinator.Recorded, error) {
	if a.panics.Add(-1) >= 0 {
		panic("no record")
	}
	return a.Store.Record(ctx, outcome)
}

// TestPanicGivesTheTurnBack has the handler of a write panic while it holds the turn: the write
// ends as if its proxy had died, and others of the repository go on.
func TestPanicGivesTheTurnBack(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*settings, *atomic.Int32)
		// left says that recovery has to find out what nodes did.
		left bool
	}{
		"before a node is asked": {func(s *settings, panics *atomic.Int32) {
			s.connections = func(c proxy.Connections) proxy.Connections {
				return shaky{c, panics}
			}
		}, false},
		"before the record": {func(s *settings, panics *atomic.Int32) {
			s.metadata = func(s coordinator.Store) coordinator.Store {
				return amnesiac{s, panics}
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var panics atomic.Int32
			c := newCluster(t, func(s *settings) { tc.change(s, &panics) })
			c.onAll(writeRef, func(v *visit) error {
				return v.SendMsg(&gitalypb.WriteRefResponse{})
			})
			panics.Store(1)
			got := c.writeRef(t.Context())
			require.Equal(t, codes.Internal, status.Code(got.err), "%v", got.err)
			require.ErrorContains(t, got.err, "panic")
			require.Equal(t, "unknown", got.outcome)

			incarnation, _ := c.alone.Incarnation()
			adopted, err := c.store.AdoptTurns(t.Context(), incarnation, 10)
			require.NoError(t, err)
			require.Equal(t, tc.left, len(adopted) == 1)
			require.Equal(t, tc.left, c.state(relativePath).TurnHeld)
			if !tc.left {
				require.NoError(t, c.writeRef(t.Context()).err)
				require.EqualValues(t, 1, c.state(relativePath).Generation)
			}
		})
	}
}
