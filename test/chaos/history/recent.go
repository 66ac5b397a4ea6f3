package history

import (
	"fmt"
	"time"
)

// recent demands of every read of a register, sorted by time, that it saw a write that was not
// surely followed by another before the read began.
func recent(register []Operation) Report {
	var reads, writes []Operation
	for _, o := range register {
		switch {
		case o.Action == Write:
			writes = append(writes, o)
		case o.Result == Acknowledged:
			reads = append(reads, o)
		}
	}

	findings, seen := disagreements(writes, reads), firstSeen(writes, reads)
	for _, read := range reads {
		if finding, bad := outdated(writes, read, seen); bad {
			findings = append(findings, finding)
		}
	}

	return classify(findings)
}

// classify tells what is lost from what was stale by the read that ends the evidence. What is lost
// counts once, on however many replicas it is gone.
func classify(findings []Finding) Report {
	var report Report
	for _, finding := range findings {
		switch {
		case !finding.Evidence[len(finding.Evidence)-1].Final:
			report.Stale = append(report.Stale, finding)
		case len(report.Lost) == 0:
			report.Lost = append(report.Lost, finding)
		}
	}

	return report
}

// sightings tell by when values had been seen for the first time.
type sightings map[string]time.Duration

// effect says by when a write has surely taken effect: when it was acknowledged, or seen before.
func (s sightings) effect(write Operation) (time.Duration, bool) {
	first, known := s[write.Value]
	if write.Result == Acknowledged && (!known || write.End < first) {
		return write.End, true
	}

	return first, known
}

// firstSeen looks for the values that were written once: only of these a read tells which write it
// saw.
func firstSeen(writes, reads []Operation) sightings {
	written := map[string]int{}
	for _, write := range writes {
		written[write.Value]++
	}
	seen := sightings{}
	for _, read := range reads {
		if read.Value == "" || written[read.Value] != 1 {
			continue
		}
		if end, before := seen[read.Value]; !before || read.End < end {
			seen[read.Value] = read.End
		}
	}

	return seen
}

// outdated tells whether no write explains what a read saw. The finding says why.
func outdated(writes []Operation, read Operation, seen sightings) (Finding, bool) {
	finding := Finding{
		Key: read.Key, Text: fmt.Sprintf("nobody wrote %q", read.Value),
		Evidence: []Operation{read},
	}
	if read.Value == "" {
		// Before everything else, the register was empty.
		later, ok := anyBetween(writes, begin, read)
		if !ok {
			return Finding{}, false
		}
		finding.Text = "the value is gone"
		finding.Evidence = []Operation{later, read}
	}

	for _, write := range writes {
		if write.Value != read.Value || write.Start >= read.End {
			continue
		}
		if write.Result == Refused {
			finding.Text = "a refused write was seen"
			finding.Evidence = []Operation{write, read}

			continue
		}
		later, ok := successor(writes, write, read, seen)
		if !ok {
			return Finding{}, false
		}
		finding.Text = "a later write was acknowledged before the read began"
		finding.Evidence = []Operation{write, later, read}
	}

	return finding, true
}

// begin is the time before the first operation.
const begin = -1

// successor finds an acknowledged write that surely came after another one, and before a read
// began.
func successor(
	writes []Operation, write, read Operation, seen sightings,
) (Operation, bool) {
	// What was written on top of it, as only one write has this value.
	for _, next := range writes {
		if acknowledgedBefore(next, read) && next.Guarded && next.Old == write.Value &&
			write.Value != "" && next.Value != write.Value {
			return next, true
		}
	}
	effect, known := seen.effect(write)
	if !known {
		return Operation{}, false // It may have taken effect at any later time.
	}

	return anyBetween(writes, effect, read)
}

// anyBetween finds an acknowledged write that began after a time, and ended before a read began.
func anyBetween(writes []Operation, after time.Duration, read Operation) (Operation, bool) {
	for _, write := range writes {
		if acknowledgedBefore(write, read) && write.Start > after {
			return write, true
		}
	}

	return Operation{}, false
}

func acknowledgedBefore(write, read Operation) bool {
	return write.Result == Acknowledged && write.End < read.Start
}
