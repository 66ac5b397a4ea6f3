package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// writesInTest has each kind of write once on each repository.
const writesInTest = 16 * lanesCount

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestBundledNode tries the suite on bundled nodes. That nobody was outdated is left to `make
// interop`: the packages of `make test` share the machine, and a node that does not answer for a
// second counts as ill.
func TestBundledNode(t *testing.T) {
	t.Parallel()

	s := settings{
		workers: workersDefault, writes: writesInTest, keep: t.TempDir(),
		selected: regexp.MustCompile(
			"^(creation|push|refs|operation|fetch|content|pool|mixed|crash)/"),
	}
	report := &report{out: t.Output()}
	require.NoError(t, s.try(t.Context(), choose(s.selected), report))
	require.NoError(t, report.close())
	require.Greater(t, report.cases, report.skipped)
}

// TestNothingGiven runs the command as make interop does when no Gitaly is named.
func TestNothingGiven(t *testing.T) {
	t.Parallel()

	var out strings.Builder
	require.NoError(t, run(t.Context(), []string{"-gitaly", "", "-git", ""}, &out))
	require.Regexp(t, `no Gitaly is given.*\ninterop: cases=(\d+) failed=0 skipped=\d+\n$`,
		out.String())

	require.Error(t, run(t.Context(), []string{"-gitaly", t.TempDir()}, &out), "a directory")
	require.Error(t, run(t.Context(), []string{"-gitaly", "/nonexistent"}, &out))
}

// TestFailureIsTold tries a case that fails and one that cannot be tried: both are in the report.
func TestFailureIsTold(t *testing.T) {
	t.Parallel()

	var out strings.Builder
	s, r := &stage{git: version{2, 39}}, &report{out: &out, logs: "/logs"}
	undone := false
	r.add(s.try(t.Context(), trial{name: "bad", run: func(t *take) {
		t.Cleanup(func() { undone = true })
		require.Equal(t, 1, 2, "one is not two")
		undone = false
	}}))
	r.add(s.try(t.Context(), trial{name: "new", needs: needs{git: version{2, 45}}}))
	r.add(s.try(t.Context(), trial{name: "real", needs: needs{gitaly: "it is real"}}))
	require.True(t, undone)
	require.ErrorIs(t, r.close(), errFailed)
	require.Contains(t, out.String(), "FAILED  bad")
	require.Contains(t, out.String(), "one is not two")
	require.Contains(t, out.String(), "needs Git 2.45, the nodes have 2.39")
	require.Contains(t, out.String(), "needs an unmodified Gitaly: it is real")
	require.Contains(t, out.String(), "logs: /logs\ninterop: cases=3 failed=1 skipped=2\n")
}
