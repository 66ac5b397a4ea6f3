package history

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// member is a value of one register of a group.
type member struct {
	key   Key
	value string
}

// changes finds the call that wrote a value.
type changes struct {
	calls map[member]Operation
}

func newChanges(operations []Operation) changes {
	found := changes{calls: map[member]Operation{}}
	for _, operation := range operations {
		if operation.Action == Write && operation.Group != "" {
			found.calls[member{operation.Key, operation.Value}] = operation
		}
	}

	return found
}

// look identifies the reads of a group by one call.
type look struct {
	call       int64
	repository string
	group      string
	via        string
}

// torn finds looks at groups that saw parts of different changes, all of which were over.
func torn(operations []Operation, config Config) []Finding {
	known := newChanges(operations)
	looks := map[look][]Operation{}
	var order []look
	for _, o := range operations {
		if o.Action != Read || o.Group == "" || o.Result != Acknowledged {
			continue
		}
		id := look{o.Call, o.Key.Repository, o.Group, o.Via}
		if looks[id] == nil {
			order = append(order, id)
		}
		looks[id] = append(looks[id], o)
	}

	var findings []Finding
	for _, id := range order {
		if evidence := known.mixed(looks[id], config.Settle); len(evidence) > 0 {
			findings = append(findings, Finding{
				Key:      Key{Repository: id.repository, Name: id.group},
				Text:     "parts of several changes: " + describe(looks[id]),
				Evidence: append(evidence, looks[id]...),
			})
		}
	}

	return findings
}

// mixed returns the changes whose parts a look saw, if there are several and all were over before
// it began. Emptiness before everything counts as a change.
func (c changes) mixed(reads []Operation, settle time.Duration) []Operation {
	calls := map[int64]Operation{}
	for _, read := range reads {
		write := c.calls[member{read.Key, read.Value}]
		if write.Call != 0 && !over(write, read, settle) {
			return nil
		}
		calls[write.Call] = write
	}
	if len(calls) < 2 {
		return nil
	}

	var evidence []Operation
	for call, write := range calls {
		if call != 0 {
			evidence = append(evidence, write)
		}
	}
	slices.SortFunc(evidence, func(a, b Operation) int { return int(a.Start - b.Start) })

	return evidence
}

// over tells whether a write cannot be under way any more on a node that a read may reach.
func over(write, read Operation, settle time.Duration) bool {
	end := write.End
	if write.Result != Acknowledged && !read.Final {
		end += settle
	}

	return end < read.Start
}

func describe(reads []Operation) string {
	var parts []string
	for _, read := range reads {
		parts = append(parts, fmt.Sprintf("%s=%.10s", read.Key.Name, read.Value))
	}

	return strings.Join(parts, " ")
}
