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
		out := t.write.state != writeNone && v.mark.settled() // no copy of this write any more
		switch {
		case !v.open() || !v.counts(), out && !v.inRound(n):
		case out:
			c.differ++
		case !v.inRound(n):
			c.missing++
		case v.wait.kind == waitRound && v.wait.phase == Prepared && v.wait.vote == vote:
			c.agree++
		default:
			c.differ++
		}
	}
	return c
}

// inRound says that the voter waits with a vote in round n.
func (v *voter) inRound(n uint64) bool {
	return (v.wait.kind == waitRound || v.wait.kind == waitWrite) && v.wait.round == n
}

// decidePrepared decides the frontier, in which the primary cast PREPARED.
func (t *Transaction) decidePrepared(vote Vote) bool {
	if t.write.state != writeNone && !t.write.accepts(t.write.number) {
		return false // an abandoned write is concluded first
	}
	c := t.count(vote)
	if t.barred() || c.lost(t.minimum) {
		if c.differ > 0 {
			t.sum.Verify = true
		}
		return t.lose()
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
	if t.write.state == writeNone {
		t.begin()
		t.ready.Committing = true
	}
	t.push(round{phase: Prepared, vote: vote, write: t.write.number})
}
