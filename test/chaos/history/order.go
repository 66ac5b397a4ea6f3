package history

import "slices"

// disagreements finds reads that contradict each other about the order of acknowledged writes. A
// read that sees one write, and began after another was acknowledged, says that the other came
// first. When two reads say the opposite of each other, one of them was stale, whichever it was.
// The operations are those of one register, sorted by time.
func disagreements(writes []Operation, reads []Operation) []Finding {
	known := map[string]int{}
	for i, write := range writes {
		// The empty value may have been written several times.
		if write.Result == Acknowledged && write.Value != "" {
			known[write.Value] = i
		}
	}

	// witness has the first read that says that one write came after another.
	witness := map[[2]int]Operation{}
	var findings []Finding
	told := map[[2]int]bool{}
	for _, read := range reads {
		later, ok := known[read.Value]
		if !ok {
			continue
		}
		for earlier, write := range writes {
			if earlier == later || !acknowledgedBefore(write, read) || write.Value == "" {
				continue
			}
			pair := [2]int{min(earlier, later), max(earlier, later)}
			if other, both := witness[[2]int{earlier, later}]; both && !told[pair] {
				told[pair] = true
				findings = append(findings, Finding{
					Key: read.Key, Text: "two reads disagree about which of two writes was later",
					Evidence: []Operation{writes[earlier], writes[later], other, read},
				})
			}
			if _, said := witness[[2]int{later, earlier}]; !said {
				witness[[2]int{later, earlier}] = read
			}
		}
	}

	return slices.Clip(findings)
}
