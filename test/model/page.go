package main

import (
	"fmt"
	"os"
	"strings"
)

const (
	// page is what operators and engineers read; the part between the marks is generated.
	page  = "docs/model.md"
	begin = "<!-- made by make model-switches -->\n"
	end   = "<!-- end -->\n"
	// stepsMax are as many of the last events of a path as a reader wants to see.
	stepsMax = 14
)

// publish compares the page with what was found, or writes it.
func publish(rules []rule, found []result, write bool) error {
	before, err := os.ReadFile(page)
	if err != nil {
		return fmt.Errorf("read page: %w", err)
	}
	head, rest, ok := strings.Cut(string(before), begin)
	_, tail, okay := strings.Cut(rest, end)
	if !ok || !okay {
		return fmt.Errorf("%w: it has no marks", errStale)
	}
	after := head + begin + table(rules, found) + end + tail
	if after == string(before) {
		return nil
	}
	if !write {
		return errStale
	}
	if err := os.WriteFile(page, []byte(after), 0o644); err != nil { //nolint:gosec // It is a page.
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// table is the generated part: one row a rule, then how each violation comes about.
func table(rules []rule, found []result) string {
	var text strings.Builder
	text.WriteString("| Switch | Rule | Without it |\n|---|---|---|\n")
	for i, rule := range rules {
		fmt.Fprintf(&text, "| `%s` | %s | %s |\n", rule.macro, rule.text, found[i].violation)
	}
	for i, rule := range rules {
		fmt.Fprintf(&text, "\n**Without `%s`** (run `%s`):\n\n%s", rule.macro, rule.run,
			indent(found[i].steps))
	}
	return text.String()
}

// indent shows the end of a path, one event a line.
func indent(steps []string) string {
	var text strings.Builder
	if len(steps) > stepsMax {
		fmt.Fprintf(&text, "    (%d events before)\n", len(steps)-stepsMax)
		steps = steps[len(steps)-stepsMax:]
	}
	for _, step := range steps {
		text.WriteString("    " + step + "\n")
	}
	return text.String()
}
