package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator/postgres/pgserver"
	"praefect/test/chaos/fault"
)

// TestSmoke runs the whole program for a few seconds against one proxy and two nodes. What it finds
// out about the cluster does not matter here, only that it comes to a verdict and leaves nothing
// behind.
func TestSmoke(t *testing.T) {
	t.Parallel()

	var out bytes.Buffer
	s := settings{
		seed: 1, minutes: 0.1, proxies: 1, nodes: 2, workers: 4, readers: 1, repositories: 2,
		discard: true, patience: time.Second, program: fault.Everything,
	}
	err := chaos(t.Context(), s, &out)
	if errors.Is(err, pgserver.ErrNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		require.ErrorIs(t, err, errFailed, out.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	line, _ := verdictOf(lines[len(lines)-1])
	require.NotEmpty(t, line, out.String())
	require.NotContains(t, line, "acknowledged=0 ")
	require.NotContains(t, line, "faults=0 ")
}
