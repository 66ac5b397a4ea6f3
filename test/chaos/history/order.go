package history

// disagreements finds reads that contradict each other about the order of acknowledged writes. A
// read that sees one write, and began after another was acknowledged, says that the other came
// first. When two reads say the opposite of each other, one of them was stale, whichever it was.
// The operations are those of one register, sorted by time.
func disagreements(writes, reads []Operation) []Finding {
	o := newOrder(writes)
	for _, read := range reads {
		later, ok := o.known[read.Value]
		if !ok {
			continue
		}
		for earlier, write := range writes {
			if earlier != later && write.Value != "" && acknowledgedBefore(write, read) {
				o.testify(earlier, later, read)
			}
		}
	}

	return o.findings
}

// order collects what reads say about the order of writes, which are known by their indexes.
type order struct {
	writes []Operation
	known  map[string]int
	// witnesses has the first read that says that one write came before another.
	witnesses map[[2]int]Operation
	findings  []Finding
}

func newOrder(writes []Operation) *order {
	o := &order{
		writes: writes, known: make(map[string]int), witnesses: make(map[[2]int]Operation),
	}
	for i, write := range writes {
		// The empty value may have been written several times.
		if write.Result == Acknowledged && write.Value != "" {
			o.known[write.Value] = i
		}
	}

	return o
}

// testify takes note that a read says that one write came before another.
func (o *order) testify(earlier, later int, read Operation) {
	if _, known := o.witnesses[[2]int{earlier, later}]; known {
		return
	}
	o.witnesses[[2]int{earlier, later}] = read
	other, contradicted := o.witnesses[[2]int{later, earlier}]
	if !contradicted {
		return
	}
	o.findings = append(o.findings, Finding{
		Key: read.Key, Text: "two reads disagree about which of two writes was later",
		Evidence: []Operation{o.writes[earlier], o.writes[later], other, read},
	})
}
