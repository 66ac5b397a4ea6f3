package proxy_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/coordinator"
	"praefect/proxy/gitalypb"
)

const (
	fetchRemote      = "/gitaly.RepositoryService/FetchRemote"
	updateReferences = "/gitaly.RefService/UpdateReferences"
)

// compared claims the comparisons of replicas that are due.
func (c *cluster) compared() []coordinator.Verification {
	c.t.Helper()
	due, err := c.store.ClaimVerifications(c.t.Context(), 10, time.Hour)
	require.NoError(c.t, err)
	return due
}

// TestFetchPrunes has fetches that only remove references, which no node votes on: how they end is
// told as well as it is known, and the replicas are compared whatever happened.
func TestFetchPrunes(t *testing.T) {
	t.Parallel()
	ok := func(v *visit) error { return v.SendMsg(&gitalypb.FetchRemoteResponse{}) }
	broken := func(*visit) error { return status.Error(codes.Internal, "remote hung up") }
	for name, tc := range map[string]struct {
		nodes    [3]script
		code     codes.Code
		outcome  string
		doubtful bool
		current  []string
	}{
		"on all nodes": {
			[3]script{ok, ok, ok},
			codes.OK, "recorded", false,
			[]string{"node-1", "node-2", "node-3"},
		},
		"not on a secondary": {
			[3]script{ok, broken, ok},
			codes.OK, "recorded", false,
			[]string{"node-1", "node-3"},
		},
		"and fails on the primary": {
			[3]script{broken, ok, ok},
			codes.Internal, "unknown", true,
			[]string{"node-1", "node-2", "node-3"},
		},
		"and fails on all nodes": {
			[3]script{broken, broken, broken},
			codes.Internal, "unknown", true,
			[]string{"node-1", "node-2", "node-3"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			for i, do := range tc.nodes {
				c.nodes[i].on(fetchRemote, do)
			}
			var trailer metadata.MD
			_, err := gitalypb.NewRepositoryServiceClient(c.client).FetchRemote(t.Context(),
				&gitalypb.FetchRemoteRequest{Repository: target()}, grpc.Trailer(&trailer))
			require.Equal(t, tc.code, status.Code(err), "the primary's status")
			require.Equal(t, []string{tc.outcome}, trailer.Get("praefect-outcome"))
			require.Equal(t, tc.current, c.current())
			due := c.compared()
			require.Len(t, due, 1)
			require.Equal(t, tc.doubtful, due[0].Doubtful)
		})
	}
}

// TestHalfARequest has a secondary stand still in the middle of a request on which nobody votes.
// When it is given no more it takes what it got for all, and says that all is well.
func TestHalfARequest(t *testing.T) {
	t.Parallel()
	c := newCluster(t, func(s *settings) {
		s.relay.DestinationBytes, s.relay.Patience = 1<<20, patience/5
	})
	read := func(v *visit) error {
		for {
			err := v.RecvMsg(&gitalypb.UpdateReferencesRequest{})
			if errors.Is(err, io.EOF) {
				return v.SendMsg(&gitalypb.UpdateReferencesResponse{})
			}
			if err != nil {
				return err
			}
		}
	}
	c.onAll(updateReferences, read)
	ejected := make(chan struct{})
	c.nodes[1].on(updateReferences, func(v *visit) error {
		select {
		case <-ejected:
			return read(v)
		case <-v.Context().Done():
			return v.Context().Err()
		}
	})

	stream, err := gitalypb.NewRefServiceClient(c.client).UpdateReferences(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&gitalypb.UpdateReferencesRequest{Repository: target()}))
	for range 10 {
		require.NoError(t, stream.Send(&gitalypb.UpdateReferencesRequest{
			Updates: []*gitalypb.UpdateReferencesRequest_Update{{
				Reference: make([]byte, 1<<20),
			}},
		}))
	}
	require.NoError(t, stream.CloseSend())
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		count, err := testutil.GatherAndCount(c.metrics, "gitaly_praefect_ejections_total")
		assert.NoError(collect, err)
		assert.Positive(collect, count)
	}, patience, patience/1000)
	close(ejected)
	require.NoError(t, stream.RecvMsg(&gitalypb.UpdateReferencesResponse{}))
	require.Equal(t, []string{"node-1", "node-3"}, c.current())
}

// TestFetchTakesItsTime has a fetch that finds nothing new, on which no node votes, take some nodes
// longer than the primary: it is waited for as many as are needed, and for the last a while.
func TestFetchTakesItsTime(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		grace, last time.Duration
		current     []string
	}{
		"hangs":   {time.Millisecond, time.Hour, []string{"node-1", "node-2"}},
		"is late": {time.Second / 4, time.Second, []string{"node-1", "node-2", "node-3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, func(s *settings) { s.proxy.Grace = tc.grace })
			requireFetched(t, c, []time.Duration{0, 200 * time.Millisecond, tc.last}, tc.current)
		})
	}
}

// requireFetched has nodes end a fetch at those times, and demands which replicas count.
func requireFetched(t *testing.T, c *cluster, pauses []time.Duration, current []string) {
	t.Helper()
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	for i, pause := range pauses {
		c.nodes[i].on(fetchRemote, func(v *visit) error {
			select {
			case <-time.After(pause):
			case <-over:
			}
			return v.SendMsg(&gitalypb.FetchRemoteResponse{})
		})
	}
	var trailer metadata.MD
	_, err := gitalypb.NewRepositoryServiceClient(c.client).FetchRemote(t.Context(),
		&gitalypb.FetchRemoteRequest{Repository: target()}, grpc.Trailer(&trailer))
	require.NoError(t, err)
	require.Equal(t, []string{"recorded"}, trailer.Get("praefect-outcome"))
	require.Equal(t, current, c.current())
}

// silently is a node that is pushed to: it deletes one reference without a vote, as Git does when
// the client did not say what it was, and comes to the next one.
func silently(next script) script {
	return func(v *visit) error {
		if err := v.RecvMsg(&gitalypb.PostReceivePackRequest{}); err != nil {
			return err
		}
		if v.vote(synchronized, updateHook) != commit {
			return errAborted
		}
		if err := next(v); err != nil {
			return err
		}
		return v.SendMsg(&gitalypb.PostReceivePackResponse{Data: []byte("report")})
	}
}

// updateHook is what nodes vote around the hook in front of each reference: SHA-1 of "synchronize
// update hook".
const updateHook = "\x95\x90\x87\xc3\x0d\x48\x3e\x52\xb9\xe8" +
	"\x57\x4a\x4b\xd5\x8c\x4c\xd7\x07\x06\x92"

// refuses has a hook refuse the next reference.
func refuses(v *visit) error {
	if v.tx.Primary {
		v.stop()
		return nil
	}
	v.vote(synchronized, updateHook)
	return nil
}

// differs has the nodes disagree on it.
func differs(v *visit) error {
	v.vote(synchronized, updateHook)
	v.vote(prepared, v.node.storage)
	return nil
}

// passes has all nodes write it.
func passes(v *visit) error {
	v.vote(synchronized, updateHook)
	v.vote(prepared, "b")
	v.vote(committed, "b")
	return nil
}

// breaks has the node fail at it.
func breaks(v *visit) error {
	v.vote(synchronized, updateHook)
	return status.Error(codes.Internal, "disk full")
}

// TestSilentDeletion has pushes that delete a reference without a vote and then do not get another
// one through, or do: what the nodes have done without a vote is recorded, and compared.
func TestSilentDeletion(t *testing.T) {
	t.Parallel()
	zero, id := strings.Repeat("0", 40), strings.Repeat("a", 40)
	everybody := []string{"node-1", "node-2", "node-3"}
	for name, tc := range map[string]struct {
		next       script
		third      script
		target     string
		outcome    string
		generation int
		current    []string
		compared   bool
	}{
		"a hook refuses the next":    {refuses, refuses, zero, "recorded", 1, everybody, true},
		"the next is lost":           {differs, differs, zero, "recorded", 1, everybody, true},
		"the next is recorded":       {passes, passes, zero, "recorded", 2, everybody, true},
		"one node failed":            {refuses, breaks, zero, "recorded", 1, everybody[:2], true},
		"the push breaks off":        {breaks, breaks, zero, "unknown", 0, everybody, true},
		"refused, nothing to delete": {refuses, refuses, id, "none", 0, everybody, false},
		"recorded, nothing to delete": {
			passes, passes, id, "recorded", 1, everybody, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			c.onAll(receivePack, silently(tc.next))
			c.nodes[2].on(receivePack, silently(tc.third))
			trailer, _ := c.push(zero + " " + tc.target + " refs/heads/a\x00report-status")
			require.Equal(t, []string{tc.outcome}, trailer.Get("praefect-outcome"))
			require.EqualValues(t, tc.generation, c.state(relativePath).Generation)
			require.Equal(t, tc.current, c.current())
			require.Equal(t, tc.compared, len(c.compared()) > 0)
		})
	}
}

// TestDeletionAnnounced has a proxy die between a deletion that nobody voted on and the vote on the
// next reference. Only if there was one is it known to others that replicas may differ.
func TestDeletionAnnounced(t *testing.T) {
	t.Parallel()
	zero, id := strings.Repeat("0", 40), strings.Repeat("a", 40)
	deletion, update := zero+" "+zero+" refs/heads/a", id+" "+id+" refs/heads/b"
	for name, tc := range map[string]struct {
		commands []string
		adopted  int
	}{
		"beside an update": {[]string{deletion, update}, 1},
		"alone":            {[]string{deletion}, 0},
		"two updates":      {[]string{update, update}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			adopted := make(chan int, 1)
			c.onAll(receivePack, silently(breaks))
			c.nodes[0].on(receivePack, silently(func(*visit) error {
				adopted <- c.resign()
				return status.Error(codes.Internal, "the proxy is gone")
			}))
			_, err := c.push(tc.commands...)
			require.Equal(t, codes.Internal, status.Code(err))
			require.Equal(t, tc.adopted, <-adopted)
		})
	}
}

// resign ends the incarnation of the proxy and returns how many announcements it leaves.
func (c *cluster) resign() int {
	incarnation, _ := c.alone.Incarnation()
	if err := c.store.Resign(c.t.Context(), incarnation); err != nil {
		return -1
	}
	adopted, err := c.store.AdoptAnnouncements(c.t.Context(), 10, time.Minute)
	if err != nil {
		return -1
	}
	return adopted
}

// push sends a list of commands and nothing else, and returns the trailer of the call and how it
// ended.
func (c *cluster) push(commands ...string) (metadata.MD, error) {
	var list strings.Builder
	for _, command := range commands {
		fmt.Fprintf(&list, "%04x%s", len(command)+4, command)
	}
	list.WriteString("0000")
	stream, err := gitalypb.NewSmartHTTPServiceClient(c.client).PostReceivePack(c.t.Context())
	require.NoError(c.t, err)
	require.NoError(c.t, stream.Send(&gitalypb.PostReceivePackRequest{
		Repository: target(), Data: []byte(list.String()),
	}))
	require.NoError(c.t, stream.CloseSend())
	for err == nil {
		_, err = stream.Recv()
	}
	return stream.Trailer(), err
}
