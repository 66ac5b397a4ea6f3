package proxy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/coordinator"
	"praefect/proxy/gitalypb"
)

const fetchRemote = "/gitaly.RepositoryService/FetchRemote"

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
			[3]script{ok, ok, ok}, codes.OK, "recorded", false,
			[]string{"node-1", "node-2", "node-3"},
		},
		"not on a secondary": {
			[3]script{ok, broken, ok}, codes.OK, "recorded", false,
			[]string{"node-1", "node-3"},
		},
		"and fails on the primary": {
			[3]script{broken, ok, ok}, codes.Internal, "unknown", true,
			[]string{"node-1", "node-2", "node-3"},
		},
		"and fails on all nodes": {
			[3]script{broken, broken, broken}, codes.Internal, "unknown", true,
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
