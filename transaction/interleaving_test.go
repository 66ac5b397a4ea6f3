package transaction_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/transaction"
)

// fixed is a chooser for plays whose events are given.
type fixed struct{}

func (fixed) pick(n int) int { return n - 1 }
func (fixed) more() bool     { return false }

// fault is one thing that goes wrong before vote number at.
type fault struct {
	kind  string
	voter transaction.Voter
	at    int
}

func faults(votes int) []fault {
	list := []fault{{kind: "none"}}
	for at := range votes + 1 {
		for _, kind := range []string{"stop", "abort", "grace"} {
			list = append(list, fault{kind: kind, at: at})
		}
		for _, voter := range []transaction.Voter{"p", "s1", "s2"} {
			for _, kind := range []string{"ended", "lost", "dissent", "abandon"} {
				list = append(list, fault{kind: kind, voter: voter, at: at})
			}
		}
	}
	return list
}

// interleavings returns all orders in which three nodes can cast two votes each.
func interleavings() [][]transaction.Voter {
	var all [][]transaction.Voter
	var extend func(order []transaction.Voter)
	extend = func(order []transaction.Voter) {
		if len(order) == 6 {
			all = append(all, slices.Clone(order))
			return
		}
		for _, voter := range []transaction.Voter{"p", "s1", "s2"} {
			count := 0
			for _, other := range order {
				if other == voter {
					count++
				}
			}
			if count < 2 {
				extend(append(order, voter))
			}
		}
	}
	extend(nil)
	return all
}

// TestAllInterleavings plays one write of three nodes in every order of votes, with each single
// fault before each vote, for each minimum of copies.
func TestAllInterleavings(t *testing.T) {
	t.Parallel()
	for minimum := 1; minimum <= 3; minimum++ {
		t.Run(fmt.Sprintf("minimum=%d", minimum), func(t *testing.T) {
			t.Parallel()
			for _, order := range interleavings() {
				for _, f := range faults(len(order)) {
					p := newFixedPlay(t, minimum)
					err := p.interleave(order, f)
					require.NoError(t, err, "%+v\n%s", f, strings.Join(p.log, "\n"))
				}
			}
		})
	}
}

func newFixedPlay(t *testing.T, minimum int) *play {
	t.Helper()
	config := transaction.Config{
		Primary: "p", Secondaries: []transaction.Voter{"s1", "s2"}, MinimumCopies: minimum,
	}
	tx, err := transaction.New(config)
	require.NoError(t, err)
	names := []transaction.Voter{"p", "s1", "s2"}
	return &play{
		choose: fixed{}, config: config, tx: tx, oracle: newOracle(config), names: names,
		check: newChecker(config, names), place: map[transaction.Voter]int{},
		busy: map[transaction.Voter]transaction.Ticket{}, graces: map[uint64]bool{},
		late: map[transaction.Voter]uint64{},
		plan: []step{{prepared, "a"}, {committed, "a"}},
	}
}

// interleave casts the votes in the given order, each as soon as the node is free.
func (p *play) interleave(order []transaction.Voter, f fault) error {
	for n, voter := range order {
		if f.at == n {
			if err := p.fail(f); err != nil {
				return err
			}
		}
		if err := p.follow(voter); err != nil {
			return err
		}
	}
	if f.at == len(order) {
		if err := p.fail(f); err != nil {
			return err
		}
	}
	for range 3 { // what could not be cast because the node was waiting
		for _, voter := range p.names {
			if err := p.follow(voter); err != nil {
				return err
			}
		}
	}
	for _, voter := range p.names {
		p.ended(voter, false)
		if err := p.compare(); err != nil {
			return err
		}
	}
	return p.finish()
}

// follow casts the next vote of the plan, and answers at once what the transaction asks for.
func (p *play) follow(voter transaction.Voter) error {
	if _, waits := p.busy[voter]; !waits && p.place[voter] < len(p.plan) {
		p.vote(voter)
	}
	return p.respond()
}

func (p *play) respond() error {
	for {
		if err := p.compare(); err != nil {
			return err
		}
		switch {
		case p.turnAsked:
			p.turn()
		case p.record != nil:
			p.recorded()
		case len(p.late) > 0:
			p.lateResolved()
		default:
			return nil
		}
	}
}

func (p *play) fail(f fault) error {
	p.note("fault %+v", f)
	switch f.kind {
	case "stop":
		p.stop()
	case "abort":
		p.abort()
	case "grace":
		p.grace()
	case "ended", "lost":
		p.ended(f.voter, f.kind == "lost")
	case "dissent", "abandon":
		if _, waits := p.busy[f.voter]; waits {
			return nil
		}
		s := step{prepared, "b"}
		if p.place[f.voter] > 0 {
			s.phase = committed
		}
		if f.kind == "abandon" {
			s = step{transaction.Synchronized, "post-receive"}
		}
		p.place[f.voter]++
		p.cast(f.voter, s)
	}
	return p.respond()
}
