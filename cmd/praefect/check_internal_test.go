package main

import (
	"bytes"
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/cmd/internal/configfile"
	"praefect/coordinator"
)

// onNode is a configuration with one node.
func onNode(address string) *configfile.Loaded {
	config := &configfile.Loaded{}
	config.VirtualStorages = []configfile.VirtualStorage{{
		Name:  "default",
		Nodes: []configfile.Node{{Storage: "gitaly-1", Address: address}},
	}}

	return config
}

// TestHealthLeavesTime asks a node that takes connections and says nothing, as a frozen one does:
// the time of the check is not over then.
func TestHealthLeavesTime(t *testing.T) {
	t.Parallel()
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, silent.Close()) })
	asked, err := dialNodesOf(onNode("tcp://" + silent.Addr().String()))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), checkTimeout)
	defer cancel()
	require.Equal(t, map[[2]string]bool{{"default", "gitaly-1"}: false}, asked.healthy(ctx))
	require.NoError(t, ctx.Err())
	require.NoError(t, asked.close())
}

func TestSayUnavailable(t *testing.T) {
	t.Parallel()
	config := onNode("tcp://h:1")
	for _, tc := range []struct {
		lost int64
		want string
	}{
		{0, "All repositories are available.\n"},
		{1, "virtual-storage \"default\" has 1 repository that is unavailable.\n"},
		{4, "virtual-storage \"default\" has 4 repositories that are unavailable.\n"},
	} {
		var out bytes.Buffer
		err := sayUnavailable(&out, config, []coordinator.Tally{
			{Place: coordinator.Place{VirtualStorage: "default"}, Number: tc.lost},
			{Place: coordinator.Place{VirtualStorage: "gone"}, Number: 9},
		})
		require.Equal(t, tc.want, out.String())
		if tc.lost == 0 {
			require.NoError(t, err)
		} else {
			require.EqualError(t, err, "repositories unavailable")
		}
	}
}
