package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"praefect/test/chaos/audit"
	"praefect/test/chaos/client"
	"praefect/test/chaos/fault"
	"praefect/test/chaos/history"
)

const (
	// writesPerSecond is the least that must be acknowledged, faultsPerMinute of each kind, in a
	// run of full length. In a short one, a single fault may take most of the time.
	writesPerSecond = 5
	faultsPerMinute = 1.5
	fullLength      = 2 * time.Minute
	// availabilityMin is promised while one node is down.
	availabilityMin = 0.99
	// countedShare is the part of the writes that are needed which must count for it, and of the
	// reads: a verdict about nothing proves nothing.
	countedShare = 0.5
)

// summary is the result of a run.
type summary struct {
	settings settings

	faults       []fault.Fault
	acknowledged int
	// reads is how many calls of clients have read something.
	reads   int
	counted []client.Attempt

	lost, stale, torn, undone, diverged, unresolved, undecided int
}

func newSummary(s settings, faults []fault.Fault, attempts []client.Attempt) summary {
	sum := summary{settings: s, faults: faults, counted: untouched(attempts, faults)}
	for _, a := range attempts {
		if a.Verdict == client.Succeeded {
			sum.acknowledged++
		}
	}

	return sum
}

func (s *summary) add(report history.Report, result audit.Result) {
	s.lost, s.stale, s.torn = len(report.Lost), len(report.Stale), len(report.Torn)
	s.undone, s.undecided = len(report.Undone), len(report.Undecided)
	s.diverged, s.unresolved = len(result.Diverged), len(result.Unresolved)
}

// readCalls counts the calls of clients that have read something.
func readCalls(operations []history.Operation) int {
	calls := map[int64]bool{}
	for _, o := range operations {
		if o.Action == history.Read && !o.Final {
			calls[o.Call] = true
		}
	}

	return len(calls)
}

// line is the last line.
func (s *summary) line() string {
	return fmt.Sprintf("chaos: seed=%d faults=%d acknowledged=%d lost=%d stale=%d torn=%d "+
		"undone=%d diverged=%d unresolved=%d availability=%.2f",
		s.settings.seed, len(s.faults), s.acknowledged, s.lost, s.stale, s.torn, s.undone,
		s.diverged, s.unresolved, availability(s.counted))
}

// caught tells whether the run found a violation.
func (s *summary) caught() bool {
	return s.lost+s.stale+s.torn+s.diverged+s.unresolved > 0
}

// problem says why the run failed; empty if it did not.
func (s *summary) problem() string {
	var problems []string
	if s.caught() {
		problems = append(problems, "a promise was broken")
	}
	if s.undone > 0 && !losesProxies(s.settings.program) {
		problems = append(problems, fmt.Sprintf(
			"%d writes were seen and are gone, and no proxy was lost", s.undone))
	}
	if s.undecided > 0 {
		problems = append(problems, fmt.Sprintf("no verdict on %d registers", s.undecided))
	}
	if need := leastWrites(s.settings.duration()); s.acknowledged < need {
		problems = append(problems, fmt.Sprintf("only %d writes were acknowledged, not %d",
			s.acknowledged, need))
	}
	problems = append(problems, s.unproven()...)
	problems = append(problems, missing(s.settings, s.faults)...)

	return strings.Join(problems, "; ")
}

// losesProxies tells whether a program kills proxies, freezes them, or cuts them off from the
// database. Only when a proxy is lost together with a primary may a write be undone.
func losesProxies(program fault.Program) bool {
	switch program {
	case fault.Everything, fault.Doubt, fault.Deaf:
		return true
	case fault.Node, fault.Jitter, fault.Nothing:
	}

	return false
}

// unproven says what the run had to show besides and has not.
func (s *summary) unproven() []string {
	if s.settings.program != fault.Everything && s.settings.program != fault.Node {
		return nil // They show but one mistake, some without readers.
	}
	var problems []string
	need := int(countedShare * float64(leastWrites(s.settings.duration())))
	if s.reads < need {
		problems = append(problems, fmt.Sprintf("only %d reads succeeded, not %d", s.reads, need))
	}
	if s.settings.program != fault.Node {
		return problems
	}
	if got := availability(s.counted); got < availabilityMin {
		problems = append(problems, fmt.Sprintf(
			"%.4f of the writes that touched nothing broken succeeded, not %.2f",
			got, availabilityMin))
	}
	if len(s.counted) < need {
		problems = append(problems, fmt.Sprintf("only %d writes touched nothing broken, not %d",
			len(s.counted), need))
	}

	return problems
}

// leastWrites is how many writes must be acknowledged in a run of that length.
func leastWrites(length time.Duration) int {
	return int(writesPerSecond * length.Seconds() * min(1, length.Seconds()/fullLength.Seconds()))
}

// missing says which kinds of faults came too seldom. A program has not all kinds, so all of its
// faults count together.
func missing(s settings, faults []fault.Fault) []string {
	counts, need := fault.Count(faults), leastFaults(s)
	var texts []string
	if s.program != fault.Everything {
		if s.program != fault.Nothing && len(faults) < need {
			texts = append(texts, fmt.Sprintf("only %d faults, not %d", len(faults), need))
		}

		return texts
	}
	for _, kind := range fault.Kinds() {
		if counts[kind] < need {
			texts = append(texts, fmt.Sprintf("only %d faults of kind %s, not %d",
				counts[kind], kind, need))
		}
	}

	return texts
}

// leastFaults is how often each kind must come.
func leastFaults(s settings) int { return int(faultsPerMinute * s.minutes) }

const (
	// shown is how many findings of each kind are printed; the file has all.
	shown = 5
	// reasonsShown is how many reasons of failed writes are printed, reasonLength how much of each.
	reasonsShown = 8
	reasonLength = 260
)

// explain prints what was found, and writes all of it with evidence into a file.
func (s *session) explain(report history.Report, result audit.Result, sum summary) {
	var all []string
	for _, c := range chapters(report, result) {
		for i, f := range c.findings {
			text := c.name + ": " + f.Text
			if f.Key != (history.Key{}) {
				text = c.name + ": " + f.Key.String() + ": " + f.Text
			}
			if i < shown {
				s.say("chaos: %s", text)
			}
			all = append(all, text)
			for _, o := range f.Evidence {
				all = append(all, "    "+tell(o))
			}
		}
	}
	for _, reason := range reasons(sum.counted) {
		s.say("chaos: %s", reason)
	}
	for _, f := range sum.faults {
		all = append(all, f.String())
	}
	if err := writeLines(filepath.Join(s.rig.dir, "findings.txt"), all); err != nil {
		s.say("chaos: %v", err)
	}
}

// chapter are the findings of one kind.
type chapter struct {
	name     string
	findings []history.Finding
}

func chapters(report history.Report, result audit.Result) []chapter {
	all := []chapter{
		{name: "lost", findings: report.Lost},
		{name: "stale", findings: report.Stale},
		{name: "torn", findings: report.Torn},
		{name: "undone", findings: report.Undone},
		{name: "undecided", findings: report.Undecided},
		{name: "diverged"},
		{name: "unresolved"},
	}
	for i, texts := range [][]string{result.Diverged, result.Unresolved} {
		c := &all[len(all)-2+i]
		for _, text := range texts {
			c.findings = append(c.findings, history.Finding{Text: text})
		}
	}

	return all
}

// tell describes an operation.
func tell(o history.Operation) string {
	text := fmt.Sprintf("%9.3f-%9.3f client %d via %s: %s", o.Start.Seconds(), o.End.Seconds(),
		o.Client, o.Via, o.Method)
	if o.Primary {
		text += " of primary"
	}
	if o.Action == history.Read {
		return text + fmt.Sprintf(" saw %q", o.Value)
	}
	if o.Guarded {
		text += fmt.Sprintf(" of %q", o.Old)
	}

	return text + fmt.Sprintf(" to %q: %s %s", o.Value, o.Result, o.Detail)
}

// reasons are why writes failed that nothing excuses, the most frequent first.
func reasons(attempts []client.Attempt) []string {
	counts := map[string]int{}
	for _, a := range attempts {
		if a.Verdict != client.Succeeded {
			detail := strings.Join(strings.Fields(a.Detail), " ")
			counts[a.Method+": "+detail[:min(reasonLength, len(detail))]]++
		}
	}
	var texts []string
	for text := range counts {
		texts = append(texts, text)
	}
	slices.SortFunc(texts, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}

		return strings.Compare(a, b)
	})

	var lines []string
	for _, text := range texts[:min(reasonsShown, len(texts))] {
		lines = append(lines, fmt.Sprintf("%d times without excuse: %s", counts[text], text))
	}

	return lines
}

func writeLines(path string, lines []string) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write findings: %w", err)
	}
	buffer := bufio.NewWriter(file)
	for _, line := range lines {
		if _, err := buffer.WriteString(line + "\n"); err != nil {
			return errors.Join(fmt.Errorf("write findings: %w", err), file.Close())
		}
	}
	if err := buffer.Flush(); err != nil {
		return errors.Join(fmt.Errorf("write findings: %w", err), file.Close())
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("write findings: %w", err)
	}

	return nil
}
