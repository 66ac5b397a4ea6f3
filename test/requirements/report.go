package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// judge combines the verdicts of a requirement's tests: the worst counts.
func judge(
	row requirement, tests []proof, verdicts map[proof]*verdict,
) (outcome, time.Duration) {
	if row.moot != "" {
		return moot, 0
	}
	if len(tests) == 0 {
		return failed, 0
	}

	worst, took := passed, time.Duration(0)
	for _, test := range tests {
		verdict := verdicts[test]
		took = max(took, verdict.took)
		if verdict.outcome == failed || worst == passed {
			worst = verdict.outcome
		}
	}

	return worst, took
}

// report prints a line for each row and each test without one, what tests printed that did not
// pass, and the sum. It tells whether all rows hold and all tests passed.
func report(
	out io.Writer, rows []requirement, tests map[string][]proof, verdicts map[proof]*verdict,
) (bool, error) {
	var text strings.Builder
	count := map[outcome]int{}

	for _, row := range rows {
		result, took := judge(row, tests[row.id], verdicts)
		count[result]++
		reason := row.moot
		switch {
		case reason != "":
		case len(tests[row.id]) == 0:
			reason = "no test"
		default:
			reason = fmt.Sprintf("%.1f s", took.Seconds())
		}
		fmt.Fprintf(&text, "%s %-14s %s (%s)\n", row.id, result, row.text, reason)
	}
	others := map[outcome]int{}
	for _, test := range tests[unnamed] {
		others[verdicts[test].outcome]++
		fmt.Fprintf(&text, "also %-14s %s (%.1f s)\n",
			verdicts[test].outcome, test.name, verdicts[test].took.Seconds())
	}
	for _, test := range slices.SortedFunc(maps.Keys(verdicts), byName) {
		if verdict := verdicts[test]; verdict.outcome != passed {
			fmt.Fprintf(&text, "\n%s %s\n%s", verdict.outcome, test, verdict.output.String())
		}
	}
	fmt.Fprintf(&text, "acceptance: rows=%d passed=%d not-applicable=%d failed=%d skipped=%d, "+
		"other tests=%d passed=%d\n",
		len(rows), count[passed], count[moot], count[failed], count[skipped],
		len(tests[unnamed]), others[passed])

	if _, err := io.WriteString(out, text.String()); err != nil {
		return false, fmt.Errorf("print report: %w", err)
	}

	return count[failed]+count[skipped] == 0 && others[passed] == len(tests[unnamed]), nil
}

// document is docs/requirements.md.
func document(rows []requirement, tests map[string][]proof) string {
	var text strings.Builder
	text.WriteString("<!-- Written by `go run ./test/requirements -write`. -->\n\n" +
		"# Requirements\n\n" +
		"What operators' documents state, and the tests that prove it. `make acceptance` runs\n" +
		"them with the real programs: PostgreSQL, PgBouncer, HAProxy, DNS, Git.\n")

	area := ""
	for _, row := range rows {
		if row.area != area {
			area = row.area
			fmt.Fprintf(&text, "\n## %s\n\n", area)
			text.WriteString("| Row | Requirement | Proven by |\n|---|---|---|\n")
		}
		fmt.Fprintf(&text, "| %s | %s | %s |\n", row.id, row.text, witnesses(row, tests[row.id]))
	}

	return text.String()
}

func witnesses(row requirement, tests []proof) string {
	if row.moot != "" {
		return "not applicable: " + row.moot
	}
	names := make([]string, len(tests))
	for i, test := range tests {
		names[i] = fmt.Sprintf("[%#q](../%s)", test.name, test.dir)
	}

	return strings.Join(names, ", ")
}
