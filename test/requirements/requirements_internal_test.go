package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestTable(t *testing.T) {
	t.Parallel()

	rows, err := table()
	require.NoError(t, err)
	require.Len(t, rows, 200)
	for i, row := range rows {
		require.Equal(t, fmt.Sprintf("T%03d", i+1), row.id)
		require.NotEmpty(t, row.area)
		require.NotEmpty(t, row.text)
	}
}

// TestDocument compares the page with the tests that there are.
func TestDocument(t *testing.T) {
	t.Parallel()

	rows, err := table()
	require.NoError(t, err)
	tests, err := proofs(os.DirFS("../.."))
	require.NoError(t, err)
	page, err := os.ReadFile("../../" + documentPath)
	require.NoError(t, err)
	require.Equal(t, document(rows, tests), string(page),
		"run `go run ./test/requirements -write` in the root of the tree")

	known := map[string]bool{unnamed: true}
	for _, row := range rows {
		known[row.id] = true
	}
	for row, by := range tests {
		require.True(t, known[row], "%s is no requirement, but %v prove it", row, by)
	}
}

func TestProofs(t *testing.T) {
	t.Parallel()

	tests, err := proofs(fstest.MapFS{
		"a/b_test.go": {Data: []byte(`package b

func TestT001T002Both(t *testing.T) {}

// TestOther is more.
//
// Requirements: T002, T007
func TestOther(t *testing.T) {}

// TestNone mentions T009 only.
func TestNone(t *testing.T) {}
`)},
		"a/c.go": {Data: []byte("package b\n\nfunc TestT003(t *testing.T) {}\n")},
		"test/acceptance/d_test.go": {Data: []byte(`package d

func TestMain(m *testing.M) {}

func TestT001(t *testing.T) {}

func TestMore(t *testing.T) {}
`)},
	})
	require.NoError(t, err)
	both, other := proof{"a", "TestT001T002Both"}, proof{"a", "TestOther"}
	require.Equal(t, map[string][]proof{
		"T001": {both, {whole, "TestT001"}}, "T002": {other, both}, "T007": {other},
		unnamed: {{whole, "TestMore"}},
	}, tests)
}

func TestReport(t *testing.T) {
	t.Parallel()

	good, bad, idle := proof{"d", "TestGood"}, proof{"d", "TestBad"}, proof{"d", "TestIdle"}
	more := proof{"d", "TestMore"}
	verdicts := map[proof]*verdict{
		good: {outcome: failed}, bad: {outcome: failed}, idle: {outcome: failed},
		more: {outcome: failed},
	}
	require.NoError(t, listen(strings.NewReader(
		`{"Action":"output","Package":"m/d","Test":"TestBad","Output":"why\n"}
# not an event
{"Action":"pass","Package":"m/d","Test":"TestGood","Elapsed":1.5}
{"Action":"fail","Package":"m/d","Test":"TestBad"}
{"Action":"skip","Package":"m/d","Test":"TestIdle/part"}
{"Action":"pass","Package":"m/d","Test":"TestIdle"}
`), "m", verdicts))

	var out strings.Builder
	met, err := report(&out, []requirement{
		{id: "T001", text: "Good."},
		{id: "T002", text: "Bad."},
		{id: "T003", text: "Idle."},
		{id: "T004", text: "Untested."},
		{id: "T005", text: "Moot.", moot: "an advice"},
	}, map[string][]proof{
		"T001": {good}, "T002": {good, bad}, "T003": {idle}, unnamed: {good, more},
	}, verdicts)
	require.NoError(t, err)
	require.False(t, met)
	require.Equal(t, `T001 passed         Good. (1.5 s)
T002 failed         Bad. (1.5 s)
T003 skipped        Idle. (0.0 s)
T004 failed         Untested. (no test)
T005 not-applicable Moot. (an advice)
also passed         TestGood (1.5 s)
also failed         TestMore (0.0 s)

failed d.TestBad
why

skipped d.TestIdle

failed d.TestMore
acceptance: rows=5 passed=1 not-applicable=1 failed=2 skipped=1, other tests=2 passed=1
`, out.String())

	for _, others := range [][]proof{{good, more}, {good}} {
		met, err = report(&out, []requirement{{id: "T001", text: "Good."}},
			map[string][]proof{"T001": {good}, unnamed: others}, verdicts)
		require.NoError(t, err)
		require.Equal(t, len(others) == 1, met)
	}
}
