package transaction_test

import (
	"fmt"
	"slices"

	"praefect/transaction"
)

// checker knows no rules of voting, only the promises that they must keep, and the history.
type checker struct {
	config transaction.Config
	err    error
	seats  map[transaction.Voter]*checkedSeat
	names  []transaction.Voter
	casts  map[transaction.Ticket]*checkedVote
	// committed is the value that each round told COMMIT.
	committed map[int]checkedValue
	turn      bool
	failed    bool
	writes    uint64 // opened so far
	open      *checkedWrite
	all       []*checkedWrite
}

type checkedSeat struct {
	learner, ended, lost, lapsed bool
	// outdated is true since a record passed over the voter.
	outdated bool
	votes    []*checkedVote // in rounds
	gate     *checkedVote
}

type checkedVote struct {
	voter  transaction.Voter
	round  int
	value  checkedValue
	answer transaction.Decision
	// write is the write that the vote was told COMMIT for, or closes.
	write *checkedWrite
}

type checkedValue struct {
	phase transaction.Phase
	word  string
}

type checkedWrite struct {
	number   uint64
	record   *transaction.Record
	recorded bool
	told     map[transaction.Voter]bool
	closed   map[transaction.Voter]string // what it cast as COMMITTED
	left     map[transaction.Voter]bool   // went on or ended without
	back     map[transaction.Voter]bool
}

func newChecker(c transaction.Config, names []transaction.Voter) *checker {
	k := &checker{
		config: c, names: names, seats: map[transaction.Voter]*checkedSeat{},
		casts:     map[transaction.Ticket]*checkedVote{},
		committed: map[int]checkedValue{}, turn: c.Gate == transaction.GateHeld,
	}
	for _, name := range names {
		k.seats[name] = &checkedSeat{learner: slices.Contains(c.Learners, name)}
	}
	return k
}

func (k *checker) problem(format string, args ...any) {
	if k.err == nil {
		k.err = fmt.Errorf(format, args...)
	}
}

func (k *checker) cast(name transaction.Voter, ticket transaction.Ticket, s step) {
	seat := k.seats[name]
	v := &checkedVote{voter: name, value: checkedValue(s), round: len(seat.votes)}
	k.casts[ticket] = v
	if s.phase == transaction.Preparing {
		seat.gate = v
		return
	}
	if !seat.ended && !seat.lost {
		seat.votes = append(seat.votes, v)
		k.follow(name, v)
	}
}

// follow notes what the vote means for a write that the voter was told COMMIT for.
func (k *checker) follow(name transaction.Voter, v *checkedVote) {
	for _, w := range k.all {
		if _, closed := w.closed[name]; !w.told[name] || closed || w.left[name] {
			continue
		}
		switch {
		case v.value.phase == committed && v.value.word != "zero":
			w.closed[name] = v.value.word
			v.write = w
		case v.value.phase != prepared:
			w.left[name] = true
		}
	}
}

func (k *checker) ended(name transaction.Voter, lost bool) {
	seat := k.seats[name]
	if seat.ended || seat.lost {
		return
	}
	seat.ended, seat.lost = !lost, lost
	for _, w := range k.all {
		if _, closed := w.closed[name]; w.told[name] && !closed && seat.ended {
			w.left[name] = true
		}
	}
}

func (k *checker) turnTaken(lapsed []transaction.Voter) {
	k.turn = true
	for _, name := range lapsed {
		k.seats[name].lapsed = true
	}
}

// answer checks one decision against the promises.
func (k *checker) answer(a transaction.Answer) {
	v := k.casts[a.Ticket]
	if v == nil || v.answer != 0 {
		k.problem("ticket %d answered twice or never cast", a.Ticket)
		return
	}
	v.answer = a.Decision
	if a.Decision != transaction.Commit {
		return
	}
	if k.failed {
		k.problem("%s told COMMIT after a failed record", a.Voter)
	}
	if seat := k.seats[a.Voter]; seat.outdated || seat.lapsed {
		k.problem("%s told COMMIT although it is outdated", a.Voter)
	}
	switch {
	case v.value.phase == transaction.Preparing:
		return
	case v.write != nil:
		k.released(v)
		return
	}
	if first, ok := k.committed[v.round]; ok && first != v.value {
		k.problem("round %d told COMMIT for %v and %v", v.round, first, v.value)
	}
	k.committed[v.round] = v.value
	if v.value.phase == prepared {
		k.promised(v)
	}
}

// begin notes that a write is opened. The one before may have ended without a record.
func (k *checker) begin(verify bool) {
	if k.open != nil {
		k.silentEnd(k.open, verify)
	}
	k.writes++
	k.open = &checkedWrite{
		number: k.writes, told: map[transaction.Voter]bool{},
		closed: map[transaction.Voter]string{}, left: map[transaction.Voter]bool{},
		back: map[transaction.Voter]bool{},
	}
	k.all = append(k.all, k.open)
}

// promised checks that PREPARED had the primary, the copies and the turn.
func (k *checker) promised(v *checkedVote) {
	if k.open == nil || k.open.record != nil {
		k.problem("%s told COMMIT for PREPARED of no open write", v.voter)
		return
	}
	k.open.told[v.voter] = true
	equal := 0
	for _, name := range k.names {
		seat := k.seats[name]
		if !seat.learner && len(seat.votes) > v.round && seat.votes[v.round].value == v.value {
			equal++
		} else if name == k.config.Primary {
			k.problem("%s told COMMIT for PREPARED without the primary", v.voter)
		}
	}
	if equal < k.config.MinimumCopies {
		k.problem("%s told COMMIT for PREPARED with %d copies", v.voter, equal)
	}
	if !k.turn && k.config.Gate != transaction.GateNone {
		k.problem("%s told COMMIT for PREPARED without the turn", v.voter)
	}
}

// released checks that a voter leaves COMMITTED only with its write recorded, and with it.
func (k *checker) released(v *checkedVote) {
	w := v.write
	switch {
	case !w.recorded:
		k.problem("%s released from COMMITTED before the record", v.voter)
	case k.seats[v.voter].learner:
	case !slices.Contains(w.record.Raise, v.voter) && !w.back[v.voter]:
		k.problem("%s released from COMMITTED although it is outdated", v.voter)
	}
}

func (k *checker) record(r *transaction.Record) {
	w := k.open
	switch {
	case w == nil || w.record != nil || r.Write != w.number:
		k.problem("record of write %d out of order", r.Write)
		return
	case len(r.Raise) == 0 || !slices.Contains(r.Raise, r.Primary):
		k.problem("record %+v without primary", r)
	case r.BelowMinimum != (r.Outcome == transaction.Kept &&
		len(r.Raise) < k.config.MinimumCopies):
		k.problem("record %+v counts its copies wrongly", r)
	}
	w.record = r
	for _, name := range r.Raise {
		word, closed := w.closed[name]
		first := w.closed[r.Raise[0]]
		switch {
		case k.seats[name].learner || k.seats[name].outdated || k.seats[name].lapsed:
			k.problem("%s raised although it does not count", name)
		case r.Outcome == transaction.Kept && (!closed || word != first):
			k.problem("%s raised without having confirmed", name)
		case r.Outcome == transaction.Dropped && w.told[name] && !w.left[name]:
			k.problem("%s raised although it may have a dropped write", name)
		}
	}
}

func (k *checker) recorded(number uint64) {
	w := k.open
	if w == nil || w.number != number {
		k.problem("recorded %d out of order", number)
		return
	}
	w.recorded = true
	k.open, k.turn = nil, false
	for _, name := range k.names {
		seat := k.seats[name]
		if slices.Contains(w.record.Raise, name) || (seat.learner && w.told[name]) {
			continue
		}
		// Who was told may still come back; who was not is outdated for good.
		if w.record.Outcome != transaction.Kept || !w.told[name] || w.left[name] {
			seat.outdated = true
		}
	}
}

func (k *checker) lateResolved(name transaction.Voter, back bool) {
	w := k.all[len(k.all)-1]
	for _, other := range k.all {
		if _, closed := other.closed[name]; closed {
			w = other
		}
	}
	w.back[name] = back
	if !back {
		k.seats[name].outdated = true
	}
}

// silentEnd checks a write that ended without a record.
func (k *checker) silentEnd(w *checkedWrite, verify bool) {
	for name := range w.told {
		if !w.left[name] && !k.seats[name].learner {
			k.problem("write %d forgotten although %s may have it", w.number, name)
		}
	}
	if !verify {
		k.problem("write %d forgotten without a comparison of digests", w.number)
	}
}

// end checks what must hold when everything has ended and was answered.
func (k *checker) end(tx *transaction.Transaction) error {
	s := tx.Summary()
	for _, v := range k.casts {
		if v.answer == 0 {
			k.problem("%s waits for %v forever", v.voter, v.value)
		}
	}
	for _, w := range k.all {
		switch {
		case w.record == nil:
			k.silentEnd(w, s.Verify)
		case !w.recorded && !k.failed:
			k.problem("write %d never recorded", w.number)
		}
	}
	if s.Unfinished != k.failed {
		k.problem("unfinished %v, failed %v", s.Unfinished, k.failed)
	}
	if !tx.Settled() {
		k.problem("never settled")
	}
	return k.err
}
