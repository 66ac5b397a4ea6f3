package transaction_test

import (
	"fmt"

	"praefect/transaction"
)

// A write of three nodes of which one never votes. The shell's part is played by hand.
func Example() {
	tx, err := transaction.New(transaction.Config{
		Primary:       "gitaly-1",
		Secondaries:   []transaction.Voter{"gitaly-2", "gitaly-3"},
		MinimumCopies: 2,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	refs := transaction.Vote{1, 2, 3}
	cast := func(phase transaction.Phase) {
		for _, node := range []transaction.Voter{"gitaly-1", "gitaly-2"} {
			if _, err := tx.Cast(node, phase, refs); err != nil {
				fmt.Println(err)
			}
		}
	}
	answers := func(r transaction.Ready) {
		for _, a := range r.Answers {
			fmt.Println(a.Voter, a.Phase, a.Decision)
		}
	}

	cast(transaction.Prepared)
	fmt.Println("take the turn:", tx.Ready().TakeTurn != nil)
	tx.TurnTaken(nil)
	answers(tx.Ready())

	cast(transaction.Committed)
	fmt.Println("grace for", tx.Ready().Grace.Voters)
	tx.GraceEnded(1)
	fmt.Println("record", tx.Ready().Record.Raise)
	tx.Recorded(1)
	answers(tx.Ready())
	// Output:
	// take the turn: true
	// gitaly-1 prepared COMMIT
	// gitaly-2 prepared COMMIT
	// grace for [gitaly-3]
	// record [gitaly-1 gitaly-2]
	// gitaly-1 committed COMMIT
	// gitaly-2 committed COMMIT
}
