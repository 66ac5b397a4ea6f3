package proxy_test

import (
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/coordinator"
	"praefect/proxy/gitalypb"
)

// TestRefusedTurnIsExplained changes the repository while a write is on its way to its turn.
func TestRefusedTurnIsExplained(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		meanwhile func(*cluster)
		code      codes.Code
		message   string
	}{
		"removed": {
			func(c *cluster) {
				_, err := c.coordinator.BeginRemoval(t.Context(), coordinator.Key{
					VirtualStorage: virtualStorage, RelativePath: relativePath,
				})
				assert.NoError(t, err)
			}, codes.NotFound, "repository not found",
		},
		"another primary": {
			(*cluster).elect, codes.Aborted, "primary of the repository changed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			reached, release := make(chan struct{}, 3), make(chan struct{})
			c.onAll(createBranch, func(v *visit) error {
				reached <- struct{}{}
				<-release
				return change("v")(v)
			})
			done := make(chan result, 1)
			go func() { done <- c.createBranch(t.Context()) }()
			for range 3 {
				<-reached
			}
			tc.meanwhile(c)
			close(release)
			got := <-done
			require.Equal(t, tc.code, status.Code(got.err), "%v", got.err)
			require.ErrorContains(t, got.err, tc.message)
			require.Equal(t, "none", got.outcome)
		})
	}
}

// TestTurnOutlastsLocks has a secondary that takes its time to end a write whose vote was lost.
func TestTurnOutlastsLocks(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	aborted, locked := make(chan struct{}), make(chan struct{})
	unlock := sync.OnceFunc(func() { close(locked) })
	defer unlock()
	c.nodes[0].on(createBranch, change("v"))
	c.nodes[1].on(createBranch, change("w"))
	c.nodes[2].on(createBranch, func(v *visit) error {
		err := change("x")(v)
		close(aborted)
		<-locked
		return err
	})
	done := make(chan result, 1)
	go func() { done <- c.createBranch(t.Context()) }()
	<-aborted
	require.Never(t, func() bool { return !c.state(relativePath).TurnHeld },
		patience/50, patience/1000)
	unlock()
	require.Equal(t, codes.Aborted, status.Code((<-done).err))
	require.False(t, c.state(relativePath).TurnHeld)
	require.Equal(t, []string{"node-1", "node-2", "node-3"}, c.current(), "nobody is blamed")
}

// elect makes the second node the primary, as another process would.
func (c *cluster) elect() {
	c.t.Helper()
	incarnation, _ := c.alone.Incarnation()
	repository, err := c.store.OpenTurn(c.t.Context(), coordinator.Intent{
		Write: 1, Repository: c.state(relativePath).ID, Incarnation: incarnation,
		Kind: coordinator.KindHold,
	})
	require.NoError(c.t, err)
	_, err = c.store.Elect(c.t.Context(), coordinator.Election{
		Repository: repository.ID, Write: 1, Epoch: repository.Epoch, Candidate: "node-2",
	})
	require.NoError(c.t, err)
}

func TestHooksAreHeldBackUntilTheTurn(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.onAll(setHooks, func(v *visit) error {
		var data []byte
		for {
			var request gitalypb.SetCustomHooksRequest
			err := v.RecvMsg(&request)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			data = append(data, request.GetData()...)
		}
		for _, phase := range []gitalypb.VoteTransactionRequest_Phase{
			preparing, prepared, committed,
		} {
			if v.vote(phase, string(data)) != commit {
				return errAborted
			}
		}
		return v.SendMsg(&gitalypb.SetCustomHooksResponse{})
	})
	stream, err := gitalypb.NewRepositoryServiceClient(c.client).SetCustomHooks(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&gitalypb.SetCustomHooksRequest{Repository: target()}))
	for range 5 {
		require.NoError(t, stream.Send(&gitalypb.SetCustomHooksRequest{Data: []byte("hook")}))
	}
	require.Zero(t, c.nodes[0].called(setHooks), "no node sees a request that is not complete")
	_, err = stream.CloseAndRecv()
	require.NoError(t, err)
	require.Equal(t, []string{"node-1", "node-2", "node-3"}, c.current())
	require.EqualValues(t, 1, c.state(relativePath).Generation)
}
