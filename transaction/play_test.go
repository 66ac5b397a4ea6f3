package transaction_test

import (
	"fmt"

	"praefect/transaction"
)

// chooser makes the decisions of a random play.
type chooser interface {
	// pick returns a number from 0 to n-1.
	pick(n int) int
	// more says whether the play goes on.
	more() bool
}

// step is a vote of a node that follows a known sequence.
type step struct {
	phase transaction.Phase
	word  string
}

// sequences are what nodes really cast.
func sequences() [][]step {
	const sync = transaction.Synchronized
	hooks := []step{{sync, "pre-receive"}, {sync, "update"}}
	write := func(word string) []step { return []step{{prepared, word}, {committed, word}} }
	end := []step{{sync, "post-receive"}, {committed, "zero"}}
	gated := func(word, after string) []step {
		return []step{{transaction.Preparing, word}, {prepared, word}, {committed, after}}
	}
	concat := func(parts ...[]step) []step {
		var all []step
		for _, part := range parts {
			all = append(all, part...)
		}
		return all
	}
	again := []step{{sync, "update"}}
	return [][]step{
		concat(hooks, write("a"), end),
		concat(hooks, again, write("a"), end),
		concat(hooks, write("a"), again, write("b"), again, write("c"), end),
		concat(hooks, end),
		concat(hooks, gated("a", "a"), []step{{sync, "post-receive"}}),
		concat(gated("a", "b")),
		concat(gated("a", "a"), gated("b", "b")),
		concat(write("a"), write("b")),
		{{prepared, "a"}, {prepared, "b"}, {prepared, "c"}, {committed, "c"}},
		{{sync, "no-alternates"}},
		concat(hooks, []step{{prepared, "a"}}, end), // abandoned silently
	}
}

// play drives the transaction and the oracle through the same random events.
type play struct {
	choose chooser
	config transaction.Config
	tx     *transaction.Transaction
	oracle *oracle
	check  *checker
	names  []transaction.Voter
	// plan and place are the sequence that nodes follow and how far each has come.
	plan  []step
	place map[transaction.Voter]int
	busy  map[transaction.Voter]transaction.Ticket

	turnAsked bool
	graces    map[uint64]bool
	record    *transaction.Record
	late      map[transaction.Voter]uint64
	log       []string
}

func newPlay(c chooser) (*play, error) {
	config := transaction.Config{
		Primary: "p", Gate: transaction.Gate(c.pick(4)), MinimumCopies: 1,
	}
	for i := range c.pick(5) {
		config.Secondaries = append(config.Secondaries,
			transaction.Voter(fmt.Sprintf("s%d", i+1)))
	}
	for i := range c.pick(5) / 3 { // mostly none
		config.Learners = append(config.Learners, transaction.Voter(fmt.Sprintf("l%d", i+1)))
	}
	config.MinimumCopies += c.pick(1 + len(config.Secondaries))
	tx, err := transaction.New(config)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	all := sequences()
	p := &play{
		choose: c, config: config, tx: tx, oracle: newOracle(config),
		plan: all[c.pick(len(all))], place: map[transaction.Voter]int{},
		busy: map[transaction.Voter]transaction.Ticket{}, graces: map[uint64]bool{},
		late: map[transaction.Voter]uint64{},
	}
	p.names = append([]transaction.Voter{"p"}, config.Secondaries...)
	p.names = append(p.names, config.Learners...)
	p.check = newChecker(config, p.names)
	p.note("begin %+v following %v", config, p.plan)
	return p, nil
}

func (p *play) note(format string, args ...any) {
	p.log = append(p.log, fmt.Sprintf(format, args...))
}

// run plays until the chooser has enough, and then to the end of all calls.
func (p *play) run() error {
	for p.choose.more() {
		p.event()
		if err := p.compare(); err != nil {
			return err
		}
	}
	for _, name := range p.names {
		p.ended(name, p.choose.pick(2) == 0)
		if err := p.compare(); err != nil {
			return err
		}
	}
	return p.finish()
}

// finish answers what is left to answer; nobody may be left waiting then.
func (p *play) finish() error {
	for range 20 {
		switch {
		case p.record != nil:
			p.recorded()
		case len(p.late) > 0:
			p.lateResolved()
		case p.graceRunning():
			p.grace()
		case p.turnAsked:
			p.turn()
		default:
			return p.check.end(p.tx)
		}
		if err := p.compare(); err != nil {
			return err
		}
	}
	return fmt.Errorf("no end")
}

func (p *play) graceRunning() bool { return len(p.graces) > 0 }

// event lets one thing happen. Votes are the most likely.
func (p *play) event() {
	switch n := p.choose.pick(40); {
	case n < 24:
		p.vote(p.name())
	case n < 29:
		p.turn()
	case n < 32:
		p.recorded()
	case n < 34:
		p.grace()
	case n < 36:
		p.lateResolved()
	case n == 36:
		p.ended(p.name(), false)
	case n == 37:
		p.ended(p.name(), true)
	case p.choose.pick(3) > 0:
		p.vote(p.name())
	case n == 38:
		p.stop()
	default:
		p.abort()
	}
}

func (p *play) stop() {
	p.note("stop")
	p.tx.Stop()
	p.oracle.stopped = true
	p.oracle.settle()
}

func (p *play) abort() {
	p.note("abort")
	p.tx.Abort()
	p.oracle.aborted = true
	p.oracle.settle()
}

func (p *play) name() transaction.Voter { return p.names[p.choose.pick(len(p.names))] }

func (p *play) vote(name transaction.Voter) {
	if _, waits := p.busy[name]; waits {
		return
	}
	p.cast(name, p.next(name))
}

func (p *play) cast(name transaction.Voter, s step) {
	ticket, err := p.tx.Cast(name, s.phase, hash(s.word))
	if err != nil {
		p.check.problem("cast by %s: %v", name, err)
		return
	}
	p.note("vote %s %s %s", name, s.phase, s.word)
	p.busy[name] = ticket
	p.check.cast(name, ticket, s)
	p.oracle.cast(name, s.phase, hash(s.word))
}

// next is the next step of the plan, now and then skipped, or something else.
func (p *play) next(name transaction.Voter) step {
	words := []string{"a", "b", "c", "update", "post-receive", "zero"}
	n := p.place[name]
	switch p.choose.pick(24) {
	case 0:
		return step{transaction.Phase(p.choose.pick(5)), words[p.choose.pick(len(words))]}
	case 1:
		n++
	}
	p.place[name] = n + 1
	if n < len(p.plan) {
		return p.plan[n]
	}
	return step{transaction.Synchronized, words[p.choose.pick(len(words))]}
}

func (p *play) turn() {
	if !p.turnAsked {
		return
	}
	p.turnAsked = false
	switch n := p.choose.pick(12); n {
	case 0:
		p.note("turn refused")
		p.check.turn = false
		p.tx.TurnRefused()
		p.oracle.turnRefused()
	default:
		var lapsed []transaction.Voter
		if n == 1 {
			lapsed = append(lapsed, p.name())
		}
		p.note("turn taken without %v", lapsed)
		p.check.turnTaken(lapsed)
		p.tx.TurnTaken(lapsed)
		p.oracle.turnTaken(lapsed)
	}
}

func (p *play) recorded() {
	if p.record == nil {
		return
	}
	n := p.record.Write
	p.record = nil
	if p.choose.pick(16) == 0 {
		p.note("record failed %d", n)
		p.check.failed = true
		p.tx.RecordFailed(n)
		p.oracle.recordFailed()
		return
	}
	p.note("recorded %d", n)
	p.check.recorded(n)
	p.tx.Recorded(n)
	p.oracle.hasRecorded()
}

func (p *play) grace() {
	for _, n := range []uint64{0, p.check.writes} {
		if p.graces[n] {
			delete(p.graces, n)
			p.note("grace %d", n)
			p.tx.GraceEnded(n)
			p.oracle.graceEnded(n)
			return
		}
	}
	clear(p.graces)
}

func (p *play) lateResolved() {
	for _, name := range p.names {
		n, ok := p.late[name]
		if !ok {
			continue
		}
		delete(p.late, name)
		back := p.choose.pick(2) == 0
		p.note("late %s %d %v", name, n, back)
		p.check.lateResolved(name, back)
		p.tx.LateResolved(n, name, back)
		p.oracle.lateResolved(name, back)
		return
	}
}

func (p *play) ended(name transaction.Voter, lost bool) {
	p.note("ended %s lost=%v", name, lost)
	p.check.ended(name, lost)
	if lost {
		p.tx.Lost(name)
	} else {
		p.tx.Ended(name)
	}
	p.oracle.end(name, lost)
}
