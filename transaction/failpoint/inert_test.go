//go:build !failpoints && !sabotage

package failpoint_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/transaction/failpoint"
)

// TestNothingIsLeft builds what users install and looks for traces of this package.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()

	require.Empty(t, failpoint.Tags())
	require.NoError(t, failpoint.Check())
	require.False(t, failpoint.Listed())

	binary := filepath.Join(t.TempDir(), "praefect")
	command := exec.CommandContext(t.Context(),
		"go", "build", "-o", binary, "praefect/cmd/praefect")
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s", output)
	content, err := os.ReadFile(binary)
	require.NoError(t, err)

	traces := []string{"PRAEFECT_FAILPOINTS", "PRAEFECT_SABOTAGE", "transaction/failpoint.Hit"}
	for _, point := range []failpoint.Point{failpoint.TurnTaken, failpoint.FirstCommitTold} {
		traces = append(traces, string(point))
	}
	for _, variant := range failpoint.Variants() {
		traces = append(traces, string(variant))
	}
	for _, trace := range traces {
		require.False(t, bytes.Contains(content, []byte(trace)), "the binary contains %q", trace)
	}
}

// TestCostsNothing counts what the calls of a hot path allocate; see the benchmark for the time.
func TestCostsNothing(t *testing.T) { //nolint:paralleltest // AllocsPerRun wants to be alone.
	require.Zero(t, testing.AllocsPerRun(100, func() {
		failpoint.Hit(failpoint.Recorded)
		if failpoint.Sabotaged(failpoint.RecordSkipped) {
			t.Error("sabotaged")
		}
	}))
}

// BenchmarkHit measures the loop around a call, which is what is left of it.
func BenchmarkHit(b *testing.B) {
	for b.Loop() {
		failpoint.Hit(failpoint.Recorded)
	}
}
