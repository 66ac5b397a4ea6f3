package transaction_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"praefect/transaction"
)

// compare takes what the last event led to from both implementations.
func (p *play) compare() error {
	r := p.tx.Ready()
	got := newEffects()
	got.Commit = r.Committing
	if r.Committing {
		p.check.begin(p.tx.Summary().Verify)
	}
	for _, a := range r.Answers {
		if _, twice := got.Answers[a.Ticket]; twice || p.busy[a.Voter] != a.Ticket {
			return fmt.Errorf("ticket %d of %s answered twice", a.Ticket, a.Voter)
		}
		delete(p.busy, a.Voter)
		got.Answers[a.Ticket] = a.Decision
		p.check.answer(a)
	}
	p.takeTurn(r, &got)
	if r.Grace != nil {
		got.Grace[r.Grace.Write] = true
		p.graces[r.Grace.Write] = true
	}
	if r.Record != nil {
		got.Record, p.record = r.Record, r.Record
		p.check.record(r.Record)
	}
	for _, l := range r.Late {
		got.Late[l.Voter] = l.Write
		p.late[l.Voter] = l.Write
	}
	want := p.oracle.out
	p.oracle.out = newEffects()
	if !reflect.DeepEqual(want, got) { // much faster than cmp
		return fmt.Errorf("oracle (-) and transaction (+) disagree:\n%s", cmp.Diff(want, got))
	}
	return p.check.err
}

func (p *play) takeTurn(r transaction.Ready, got *effects) {
	if r.TakeTurn != nil {
		got.Turn, got.Locked = "take", r.TakeTurn.LocksHeld
		p.turnAsked = true
	}
	if r.YieldTurn {
		got.Turn = "yield"
		p.turnAsked = true
		p.check.turn = false
	}
	if r.ReleaseTurn {
		got.Released = true
		p.turnAsked = false
		p.check.turn = false
	}
}

// rapidChooser lets rapid decide, so that failures shrink.
type rapidChooser struct {
	t    *rapid.T
	left int
}

func (c *rapidChooser) pick(n int) int { return rapid.IntRange(0, n-1).Draw(c.t, "pick") }

func (c *rapidChooser) more() bool {
	c.left--
	return c.left >= 0
}

// TestAgainstOracle checks that both implementations do the same, and that neither breaks a
// promise.
func TestAgainstOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := &rapidChooser{t: t, left: rapid.IntRange(0, 120).Draw(t, "events")}
		p, err := newPlay(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.run(); err != nil {
			t.Fatalf("%s\n%s", strings.Join(p.log, "\n"), err)
		}
	})
}

// byteChooser lets the fuzzer decide.
type byteChooser struct{ data []byte }

func (c *byteChooser) pick(n int) int {
	if len(c.data) == 0 {
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return int(b) % n
}

func (c *byteChooser) more() bool { return len(c.data) > 0 }

// FuzzTransaction plays the events that the bytes stand for.
func FuzzTransaction(f *testing.F) {
	for seed := range 16 {
		data := make([]byte, 300)
		for i := range data {
			data[i] = byte(seed*31 + i*i*7 + i>>3)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			t.Skip("longer plays find nothing that shorter ones do not")
		}
		p, err := newPlay(&byteChooser{data: data})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.run(); err != nil {
			t.Fatalf("%s\n%s", strings.Join(p.log, "\n"), err)
		}
	})
}
