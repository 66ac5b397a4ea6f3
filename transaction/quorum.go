package transaction

// tally counts the votes of a PREPARED round in which the primary has voted.
type tally struct {
	// agree are the counted voters, the primary among them, that cast the primary's vote.
	agree int
	// differ are the counted voters that cast another.
	differ int
	// missing are the counted voters that may still vote.
	missing int
}

// won says that the round has enough equal votes.
func (c tally) won(minimum int) bool { return c.agree >= minimum }

// lost says that the round cannot be won any more.
func (c tally) lost(minimum int) bool { return c.agree+c.missing < minimum }

// count counts the votes in the frontier against the vote of the primary.
func (t *Transaction) count(vote Vote) tally {
	var c tally
	n := t.rounds.frontier()
	for i := range t.voters {
		v := &t.voters[i]
		out := t.write.inProgress() && v.mark.settled() // no copy of this write any more
		switch {
		case !v.open() || !v.counts():
		case v.inRound(n):
			c.add(!out && v.wait.prepares(vote))
		case !out:
			c.missing++
		}
	}
	return c
}

func (c *tally) add(agrees bool) {
	if agrees {
		c.agree++
	} else {
		c.differ++
	}
}

func (w *wait) prepares(vote Vote) bool {
	return w.kind == waitRound && w.phase == Prepared && w.vote == vote
}

// inRound says that the voter waits with a vote in round n.
func (v *voter) inRound(n uint64) bool {
	return (v.wait.kind == waitRound || v.wait.kind == waitWrite) && v.wait.round == n
}

// decidePrepared decides the frontier, in which the primary cast PREPARED.
func (t *Transaction) decidePrepared(vote Vote) bool {
	if t.write.blocks() {
		return false
	}
	c := t.count(vote)
	if t.barred() || c.lost(t.minimum) {
		if c.differ > 0 {
			t.sum.Verify = true
		}
		t.lose()
		return true
	}
	if !c.won(t.minimum) {
		return false
	}
	if !t.holds() {
		t.ask(TurnRequest{LocksHeld: true})
		return false
	}
	t.win(vote)
	return true
}

// win tells COMMIT for PREPARED. It opens a write unless one is open already.
func (t *Transaction) win(vote Vote) {
	if !t.write.inProgress() {
		t.begin()
		t.ready.Committing = true
	}
	t.push(round{phase: Prepared, vote: vote, write: t.write.number})
}
