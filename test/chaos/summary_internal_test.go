package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"praefect/test/chaos/audit"
	"praefect/test/chaos/client"
	"praefect/test/chaos/fault"
	"praefect/test/chaos/history"
	"praefect/transaction/failpoint"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAvailabilityLeavesOutWhatTouchedSomethingBroken(t *testing.T) {
	t.Parallel()

	attempt := client.Attempt{
		Start: 10 * time.Second, End: 12 * time.Second, Via: "praefect-2", Repository: "a",
		Verdict: client.Failed,
	}
	const before, after = 0, 100 * time.Second
	for name, tc := range map[string]struct {
		fault   fault.Fault
		excused bool
	}{
		"own proxy":     {fault.Fault{Kind: fault.Kill, To: "praefect-2"}, true},
		"another proxy": {fault.Fault{Kind: fault.Kill, To: "praefect"}, false},
		"balancer":      {fault.Fault{Kind: fault.Stall, From: "balancer", To: "praefect-2"}, true},
		"own database":  {fault.Fault{Kind: fault.Stall, From: "praefect-2", To: "database"}, true},
		"another's database": {
			fault.Fault{Kind: fault.Stall, From: "praefect", To: "database"}, false,
		},
		"database":  {fault.Fault{Kind: fault.Database, To: "database"}, true},
		"secondary": {fault.Fault{Kind: fault.Kill, To: "gitaly-1", Primary: []string{"b"}}, false},
		"primary that died long ago": {
			fault.Fault{Kind: fault.Kill, To: "gitaly-1", Primary: []string{"a"}}, false,
		},
		"primary with a full disk": {
			fault.Fault{Kind: fault.Disk, To: "gitaly-1", Primary: []string{"a"}}, true,
		},
		"own connection to primary": {fault.Fault{
			Kind: fault.Stall, From: "praefect-2", To: "gitaly-1", Primary: []string{"a"},
		}, true},
		"another's connection to primary": {fault.Fault{
			Kind: fault.Stall, From: "praefect", To: "gitaly-1", Primary: []string{"a"},
		}, false},
		"nodes among themselves": {fault.Fault{
			Kind: fault.Stall, From: "gitaly-2", To: "gitaly-1", Primary: []string{"a"},
		}, false},
	} {
		f := tc.fault
		f.Start, f.End = before, after
		counted := untouched([]client.Attempt{attempt}, []fault.Fault{f})
		require.Equal(t, tc.excused, len(counted) == 0, name)
		f.Start, f.End = before, time.Second
		require.Len(t, untouched([]client.Attempt{attempt}, []fault.Fault{f}), 1, name)
	}

	died := fault.Fault{
		Kind: fault.Kill, To: "gitaly-1", Primary: []string{"a"},
		Start: 8 * time.Second, End: after,
	}
	require.Empty(t, untouched([]client.Attempt{attempt}, []fault.Fault{died}), "just died")
	attempt.Verdict = client.Declined
	require.Empty(t, untouched([]client.Attempt{attempt}, nil), "declined")
	attempt.Verdict = client.Queued
	require.Len(t, untouched([]client.Attempt{attempt}, nil), 1, "busy without queueing")
	attempt.End = attempt.Start + turnWait
	require.Empty(t, untouched([]client.Attempt{attempt}, nil), "queued")
}

func TestAvailabilityCountsWhoReachedNobodyAlthoughAllWereThere(t *testing.T) {
	t.Parallel()

	attempts := []client.Attempt{{
		Start: 10 * time.Second, End: 12 * time.Second, Repository: "a", Verdict: client.Failed,
	}}
	require.Len(t, untouched(attempts, nil), 1)
	for name, tc := range map[string]struct {
		fault   fault.Fault
		excused bool
	}{
		"proxy":    {fault.Fault{Kind: fault.Kill, To: "praefect-2"}, true},
		"balancer": {fault.Fault{Kind: fault.Stall, From: "balancer", To: "praefect"}, true},
		"primary": {
			fault.Fault{Kind: fault.Kill, To: "gitaly-1", Primary: []string{"a"}}, false,
		},
		"database": {fault.Fault{Kind: fault.Database, To: "database"}, false},
	} {
		f := tc.fault
		f.Start, f.End = 9*time.Second, 11*time.Second
		require.Equal(t, tc.excused, len(untouched(attempts, []fault.Fault{f})) == 0, name)
	}
}

// goodSummary is that of a run of two minutes in which all is well.
func goodSummary() summary {
	settings := settings{
		seed: 7, minutes: 2, proxies: 3, nodes: 3, program: fault.Everything,
	}
	var faults []fault.Fault
	for _, kind := range fault.Kinds() {
		for range 3 {
			faults = append(faults, fault.Fault{Kind: kind})
		}
	}
	attempts := make([]client.Attempt, 600)
	for i := range attempts {
		attempts[i] = client.Attempt{
			Start: time.Hour, End: time.Hour, Via: "praefect", Verdict: client.Succeeded,
		}
	}

	good := newSummary(settings, faults, attempts)
	good.reads = 300

	return good
}

func TestSummary(t *testing.T) {
	t.Parallel()

	good := goodSummary()
	require.Empty(t, good.problem())
	require.Equal(t, "chaos: seed=7 faults=18 acknowledged=600 lost=0 stale=0 torn=0 undone=0 "+
		"diverged=0 unresolved=0 availability=1.00", good.line())
	line, found := verdictOf("more\n" + good.line() + "\n")
	require.Equal(t, good.line(), line)
	require.False(t, found)

	one := []history.Finding{{}}
	undone := goodSummary()
	undone.add(history.Report{Undone: one}, audit.Result{})
	require.Empty(t, undone.problem())
	require.Contains(t, undone.line(), "undone=1")
	undone.settings.program = fault.Node
	require.Contains(t, undone.problem(), "1 writes were seen and are gone, and no proxy was lost")
	_, found = verdictOf(undone.line())
	require.False(t, found)

	for name, tc := range map[string]struct {
		report history.Report
		result audit.Result
	}{
		"lost=1":       {report: history.Report{Lost: one}},
		"stale=1":      {report: history.Report{Stale: one}},
		"torn=1":       {report: history.Report{Torn: one}},
		"diverged=1":   {result: audit.Result{Diverged: []string{"x"}}},
		"unresolved=1": {result: audit.Result{Unresolved: []string{"x"}}},
	} {
		bad := goodSummary()
		bad.add(tc.report, tc.result)
		require.NotEmpty(t, bad.problem(), name)
		require.Contains(t, bad.line(), name)
		_, found := verdictOf(bad.line())
		require.Equal(t, name != "unresolved=1", found, name)
	}
}

func TestSummaryRefusesEmptyProofs(t *testing.T) {
	t.Parallel()

	undecided := goodSummary()
	undecided.add(history.Report{Undecided: []history.Finding{{}}}, audit.Result{})
	require.Contains(t, undecided.problem(), "no verdict")

	few := goodSummary()
	few.acknowledged--
	require.Contains(t, few.problem(), "only 599 writes")

	short := goodSummary()
	short.settings.minutes = 0.5
	short.acknowledged = 37
	require.Empty(t, short.problem())
	short.acknowledged--
	require.Contains(t, short.problem(), "only 36 writes")

	calm := goodSummary()
	calm.faults = calm.faults[1:]
	require.Contains(t, calm.problem(), "only 2 faults of kind kill, not 3")

	poor := goodSummary()
	poor.counted = make([]client.Attempt, 50)
	for i := range poor.counted[1:] {
		poor.counted[i].Verdict = client.Succeeded
	}
	require.Empty(t, poor.problem(), "with everything broken nothing is promised")
	poor.settings.program = fault.Node
	require.Contains(t, poor.problem(), "0.9800 of the writes that touched nothing broken")
	require.Contains(t, poor.problem(), "only 50 writes touched nothing broken, not 300")

	blind := goodSummary()
	blind.reads--
	require.Contains(t, blind.problem(), "only 299 reads succeeded, not 300")
	blind.settings.program = fault.Jitter
	require.Empty(t, blind.problem())
	require.Equal(t, 2, readCalls([]history.Operation{
		{Call: 1, Action: history.Read},
		{Call: 1, Action: history.Read},
		{Call: 2, Action: history.Read},
		{Call: 3, Action: history.Write},
		{Call: 4, Action: history.Read, Final: true},
	}))

	idle := goodSummary()
	idle.settings.program, idle.faults = fault.Node, idle.faults[:2]
	require.Contains(t, idle.problem(), "only 2 faults, not 3")
	idle.settings.program = fault.Nothing
	require.Empty(t, idle.problem())

	line, _ := verdictOf("chaos: it broke")
	require.Empty(t, line)
}

// TestEveryVariantHasAnAim keeps a new rule from being tried only by chance.
func TestEveryVariantHasAnAim(t *testing.T) {
	t.Parallel()

	for _, variant := range failpoint.Variants() {
		s, err := parse(aim(string(variant)))
		require.NoError(t, err)
		require.NotEqual(t, fault.Everything, s.program, variant)
		require.LessOrEqual(t, s.duration(), time.Minute, variant)
	}
	s, err := parse(aim("new"))
	require.NoError(t, err)
	require.Equal(t, fault.Everything, s.program)
}

func TestParse(t *testing.T) {
	t.Parallel()

	s, err := parse(strings.Fields("-seed 5 -minutes 0.5 -proxies 2 -nodes 1 -praefect bin/x"))
	require.NoError(t, err)
	require.Equal(t, 30*time.Second, s.duration())
	require.True(t, strings.HasSuffix(s.praefect, "/test/chaos/bin/x"))
	require.Contains(t, s.again(), "make chaos SEED=5 MINUTES=0.5 PROXIES=2 NODES=1")
	s, err = parse(strings.Fields("-seed 5 -program jitter -workers 3 -praefect /bin/p"))
	require.NoError(t, err)
	require.Equal(t, "go run ./test/chaos -seed 5 -minutes 2 -proxies 3 -nodes 3 -program jitter "+
		"-workers 3 -readers 2 -repositories 9 -praefect /bin/p", s.again())
	for _, bad := range []string{
		"-program x", "-proxies 0", "-nodes 0", "-minutes 0", "-workers 0", "-x",
	} {
		_, err := parse(strings.Fields(bad))
		require.Error(t, err, bad)
	}
}
