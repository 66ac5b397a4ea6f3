package abstract_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/test/model/abstract"
)

type (
	event = abstract.Event
	trace = []abstract.Event
)

const all = abstract.Set(0b111)

// opened is a write of proxy 1 on all nodes; applied that nodes 0 and 1 have made it.
func opened() trace {
	return trace{
		{Kind: abstract.Enlisted, Proxy: 1},
		{Kind: abstract.Enlisted, Proxy: 2},
		{Kind: abstract.Opened, Write: 1, Proxy: 1, Nodes: all, Generation: 1, Epoch: 1},
	}
}

func applied() trace {
	return append(opened(),
		event{Kind: abstract.Told, Write: 1}, event{Kind: abstract.Told, Write: 1, Node: 1},
		event{Kind: abstract.Told, Write: 1, Node: 2},
		event{Kind: abstract.Applied, Write: 1}, event{Kind: abstract.Applied, Write: 1, Node: 1})
}

// record raises nodes 0 and 1.
func record() event {
	return event{
		Kind: abstract.Recorded, Write: 1, Nodes: 0b011, Generation: 2, Epoch: 1,
		Outcome: abstract.Kept,
	}
}

func recorded() trace { return append(applied(), record()) }

// adopted is the write in the hands of proxy 2.
func adopted() trace {
	return append(applied(), event{Kind: abstract.Ended, Proxy: 1},
		event{Kind: abstract.Adopted, Write: 1, Proxy: 2, Number: 1, Epoch: 2})
}

// claimed is a repair of node 2, behind a recorded write.
func claimed() trace {
	return append(recorded(), event{Kind: abstract.Claimed, Node: 2, Number: 7})
}

func late() event { return event{Kind: abstract.Applied, Write: 1, Node: 2} }

// held is the turn in the hands of a repair.
func held() trace {
	return append(claimed(),
		event{Kind: abstract.Opened, Write: 2, Proxy: 2, Generation: 2, Epoch: 1})
}

func TestAllowed(t *testing.T) {
	t.Parallel()
	resolution := event{
		Kind: abstract.Resolved, Write: 1, Proxy: 2, Number: 1, Nodes: 0b011, Generation: 2,
		Epoch: 3,
	}
	for name, path := range map[string]trace{
		"record, confirmation, answer": append(recorded(), late(),
			event{Kind: abstract.Confirmed, Node: 2},
			event{Kind: abstract.Answered, Write: 1, Outcome: abstract.Done}),
		"a commit arrives after the recovery": append(adopted(), resolution, late()),
		"left to recovery and adopted": append(applied(), event{Kind: abstract.Marked, Write: 1},
			event{Kind: abstract.Adopted, Write: 1, Proxy: 1, Number: 1, Epoch: 2}),
		"repair": append(held(), event{Kind: abstract.Emptied, Node: 2, Number: 7},
			event{Kind: abstract.Repaired, Node: 2, Number: 7, Generation: 2},
			event{Kind: abstract.Closed, Write: 2}),
		"election": append(recorded(),
			event{Kind: abstract.Opened, Write: 2, Proxy: 2, Generation: 2, Epoch: 1},
			event{Kind: abstract.Elected, Write: 2, Primary: 1, Epoch: 2}),
		"nothing happened": append(opened(), event{Kind: abstract.Closed, Write: 1},
			event{Kind: abstract.Answered, Write: 1, Outcome: abstract.None}),
	} {
		require.NoError(t, abstract.Check(abstract.NewState(3, 2), path), name)
	}
}

// wrong changes the event that would be right.
func wrong(e event, change func(*event)) event {
	change(&e)
	return e
}

// refusals are the last step of a path each, and why it is refused.
type refusal struct {
	path trace
	step event
	why  string
}

func TestRefusedWrites(t *testing.T) {
	t.Parallel()
	next := event{Kind: abstract.Opened, Write: 2, Proxy: 2, Generation: 2, Epoch: 1, Nodes: all}
	refused(t, []refusal{
		{opened(), event{Kind: abstract.Enlisted, Proxy: 1}, "it lives"},
		{opened(), event{Kind: abstract.Opened, Write: 2, Proxy: 2}, "another turn is open"},
		{recorded(), wrong(next, func(e *event) { e.Proxy = 9 }), "has no lease"},
		{recorded(), wrong(next, func(e *event) { e.Write = 1 }), "opened before"},
		{recorded(), wrong(next, func(e *event) { e.Generation = 1 }), "not what is there"},
		{recorded(), event{Kind: abstract.Unvoted, Write: 1}, "not open"},
		{recorded(), event{Kind: abstract.Told, Write: 1, Node: 2}, "not in the hands"},
		{adopted(), event{Kind: abstract.Told, Write: 1, Node: 2}, "not in the hands"},
		{append(recorded(), next), event{Kind: abstract.Told, Write: 2, Node: 2}, "not current"},
		{opened(), event{Kind: abstract.Applied, Write: 1}, "was not told"},
		{opened(), wrong(record(), func(e *event) { e.Write = 2 }), "not in the hands"},
		{adopted(), record(), "not in the hands"},
		{applied(), wrong(record(), func(e *event) { e.Generation = 1 }), "rise by one"},
		{applied(), wrong(record(), func(e *event) { e.Primary = 1 }), "epoch rises"},
		{applied(), wrong(record(), func(e *event) { e.Nodes = 0b110 }), "primary is not raised"},
		{applied(), wrong(record(), func(e *event) { e.Nodes = 0b1011 }), "not at the base"},
		{applied(), wrong(record(), func(e *event) { e.Nodes = all }), "nobody saw it"},
		{
			applied(), wrong(record(), func(e *event) { e.Outcome = abstract.Undone }),
			"raised without it",
		},
		{applied(), event{Kind: abstract.Closed, Write: 1}, "a node has the write"},
		{recorded(), event{Kind: abstract.Confirmed, Node: 2}, "does not have the write"},
		{recorded(), event{Kind: abstract.Confirmed, Node: 1}, "not at the base"},
		{adopted(), event{Kind: abstract.Confirmed, Node: 2}, "moved on"},
		{append(claimed(), late()), event{Kind: abstract.Confirmed, Node: 2}, "has begun"},
		{recorded(), event{Kind: "sung"}, "unknown kind"},
	})
}

func TestRefusedAnswers(t *testing.T) {
	t.Parallel()
	done := event{Kind: abstract.Answered, Write: 1, Outcome: abstract.Done}
	none := event{Kind: abstract.Answered, Write: 1, Outcome: abstract.None}
	few := wrong(record(), func(e *event) { e.Nodes = 0b001 })
	refused(t, []refusal{
		{applied(), done, "not recorded"},
		{append(applied(), few), done, "too few copies"},
		{applied(), none, "it has happened"},
		{recorded(), wrong(none, func(e *event) { e.Write = 3 }), "no such turn"},
		{
			append(opened(), event{Kind: abstract.Told, Write: 1}, none),
			event{Kind: abstract.Applied, Write: 1},
			"told that nothing happened",
		},
	})
}

func TestRefusedRecoveries(t *testing.T) {
	t.Parallel()
	adoption := event{Kind: abstract.Adopted, Write: 1, Proxy: 2, Number: 1, Epoch: 2}
	ended := append(applied(), event{Kind: abstract.Ended, Proxy: 1})
	resolution := event{
		Kind: abstract.Resolved, Write: 1, Proxy: 2, Number: 1, Nodes: 0b011, Generation: 2,
		Epoch: 3,
	}
	again := append(adopted(), event{Kind: abstract.Ended, Proxy: 2},
		event{Kind: abstract.Enlisted, Proxy: 3},
		event{Kind: abstract.Adopted, Write: 1, Proxy: 3, Number: 2, Epoch: 3})
	election := event{Kind: abstract.Elected, Write: 2, Primary: 1, Epoch: 2}
	refused(t, []refusal{
		{recorded(), adoption, "not open"},
		{applied(), adoption, "somebody who lives"},
		{adopted(), wrong(adoption, func(e *event) { e.Number = 2 }), "somebody who lives"},
		{ended, wrong(adoption, func(e *event) { e.Proxy = 1 }), "no lease"},
		{ended, wrong(adoption, func(e *event) { e.Number = 2 }), "number does not rise"},
		{ended, wrong(adoption, func(e *event) { e.Epoch = 1 }), "epoch does not rise"},
		{recorded(), resolution, "not open"},
		{again, resolution, "adopted anew"},
		{applied(), wrong(resolution, func(e *event) { e.Number = 0 }), "somebody else's"},
		{applied(), wrong(resolution, func(e *event) { e.Number, e.Proxy = 0, 1 }), "under way"},
		{adopted(), wrong(resolution, func(e *event) { e.Generation = 1 }), "generation does not"},
		{adopted(), wrong(resolution, func(e *event) { e.Epoch = 2 }), "epoch does not"},
		{adopted(), wrong(resolution, func(e *event) { e.Primary = 2 }), "primary is not kept"},
		{adopted(), wrong(resolution, func(e *event) { e.Nodes = 0b1001 }), "was not current"},
		{adopted(), event{Kind: abstract.Dropped, Write: 1, Proxy: 2, Number: 1}, "in doubt"},
		{adopted(), event{Kind: abstract.Dropped, Write: 2, Proxy: 2, Number: 1}, "not open"},
		{recorded(), election, "not held"},
		{opened(), wrong(election, func(e *event) { e.Write = 1 }), "under way"},
		{held(), wrong(election, func(e *event) { e.Epoch = 1 }), "does not rise"},
		{held(), wrong(election, func(e *event) { e.Epoch = 3 }), "rise by one"},
		{held(), wrong(election, func(e *event) { e.Primary = 2 }), "not current"},
	})
}

func TestRefusedRepairs(t *testing.T) {
	t.Parallel()
	finish := event{Kind: abstract.Repaired, Node: 2, Number: 7, Generation: 2}
	refused(t, []refusal{
		{recorded(), event{Kind: abstract.Claimed, Node: 1, Number: 7}, "is current"},
		{claimed(), event{Kind: abstract.Emptied, Node: 2, Number: 8}, "somebody else's"},
		{append(held(), finish), event{Kind: abstract.Emptied, Node: 2}, "is current"},
		{claimed(), finish, "nobody read"},
		{held(), wrong(finish, func(e *event) { e.Number = 8 }), "somebody else's"},
		{held(), wrong(finish, func(e *event) { e.Generation = 0 }), "lowered"},
	})
}

func refused(t *testing.T, refusals []refusal) {
	t.Helper()
	for _, r := range refusals {
		require.NoError(t, abstract.Check(abstract.NewState(3, 2), r.path), r.why)
		err := abstract.Check(abstract.NewState(3, 2), append(slices.Clone(r.path), r.step))
		require.ErrorIs(t, err, abstract.ErrNotAllowed, "%v: %s", r.step, r.why)
		require.ErrorContains(t, err, r.why, "%v", r.step)
	}
}
