package transaction_test

import (
	"fmt"
	"testing"

	"praefect/transaction"
)

// BenchmarkReference measures one reference of a push of old git (nine votes of three nodes, a
// turn and a record), at the start of a push and after 100,000 references. Both must cost the
// same.
func BenchmarkReference(b *testing.B) {
	for _, before := range []int{0, 100_000} {
		b.Run(fmt.Sprintf("nodes=3/before=%d", before), func(b *testing.B) {
			r := newReferences(b, 3)
			for range before {
				r.write()
			}
			b.ReportAllocs()
			for b.Loop() {
				r.write()
			}
		})
	}
}

// BenchmarkVote measures one vote of a round that every node casts alike.
func BenchmarkVote(b *testing.B) {
	for _, nodes := range []int{1, 3, 5} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			r := newReferences(b, nodes)
			vote := hash("pre-receive")
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				r.cast(r.names[n%nodes], transaction.Synchronized, vote)
			}
		})
	}
}

// BenchmarkStraggler measures a push in which one node is always 1,000 rounds behind.
func BenchmarkStraggler(b *testing.B) {
	r := newReferences(b, 2)
	vote := hash("pre-receive")
	for range 1000 {
		r.cast(r.names[0], transaction.Synchronized, vote)
	}
	b.ReportAllocs()
	for b.Loop() {
		r.cast(r.names[0], transaction.Synchronized, vote)
		r.cast(r.names[1], transaction.Synchronized, vote)
	}
}

// BenchmarkTransaction measures a whole write with two votes, as most calls are.
func BenchmarkTransaction(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		newReferences(b, 3).write()
	}
}

// references drives a transaction without any check.
type references struct {
	tx     *transaction.Transaction
	names  []transaction.Voter
	writes uint64
	update transaction.Vote
	ref    transaction.Vote
}

func newReferences(b *testing.B, nodes int) *references {
	b.Helper()
	r := &references{names: []transaction.Voter{"p"}, update: hash("update"), ref: hash("ref")}
	for i := 1; i < nodes; i++ {
		r.names = append(r.names, transaction.Voter(fmt.Sprintf("s%d", i)))
	}
	tx, err := transaction.New(transaction.Config{
		Primary: "p", Secondaries: r.names[1:], MinimumCopies: nodes/2 + 1,
	})
	if err != nil {
		b.Fatal(err)
	}
	r.tx = tx
	return r
}

func (r *references) cast(
	name transaction.Voter, phase transaction.Phase, vote transaction.Vote,
) {
	if _, err := r.tx.Cast(name, phase, vote); err != nil {
		panic(err)
	}
	r.tx.Ready()
}

func (r *references) all(phase transaction.Phase, vote transaction.Vote) {
	for _, name := range r.names {
		r.cast(name, phase, vote)
	}
}

func (r *references) write() {
	r.all(transaction.Synchronized, r.update)
	r.tx.TurnTaken(nil)
	r.tx.Ready()
	r.all(prepared, r.ref)
	r.all(committed, r.ref)
	r.writes++
	r.tx.Recorded(r.writes)
	r.tx.Ready()
}
