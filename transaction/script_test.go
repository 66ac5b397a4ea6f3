package transaction_test

import (
	"crypto/sha1"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"praefect/transaction"
)

// TestScripts plays the conversations in testdata. Each line is an event; what it leads to is
// indented below it. Run with -rewrite to write the answers anew, and then read them.
func TestScripts(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		t.Helper()
		t.Parallel()
		s := &script{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			switch d.Cmd {
			case "begin":
				return s.begin(t, d)
			case "run":
				return s.run(t, d.Input)
			case "summary":
				return describeSummary(s.tx.Summary())
			}
			d.Fatalf(t, "unknown command %q", d.Cmd)
			return ""
		})
	})
}

type script struct {
	tx      *transaction.Transaction
	voters  []transaction.Voter
	waiting map[transaction.Ticket]bool
	awaited string
}

func (s *script) begin(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	c := transaction.Config{MinimumCopies: 1}
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "primary":
			c.Primary = transaction.Voter(arg.Vals[0])
		case "secondaries":
			c.Secondaries = voters(arg.Vals)
		case "learners":
			c.Learners = voters(arg.Vals)
		case "minimum":
			arg.Scan(t, 0, &c.MinimumCopies)
		case "gate":
			c.Gate = gates(t)[arg.Vals[0]]
		default:
			d.Fatalf(t, "unknown argument %q", arg.Key)
		}
	}
	tx, err := transaction.New(c)
	if err != nil {
		return "error: " + err.Error()
	}
	*s = script{tx: tx, waiting: make(map[transaction.Ticket]bool)}
	s.voters = append(append([]transaction.Voter{c.Primary}, c.Secondaries...), c.Learners...)
	return "ok"
}

func gates(t *testing.T) map[string]transaction.Gate {
	t.Helper()
	named := make(map[string]transaction.Gate)
	for g := transaction.GateVotes; g <= transaction.GateNone; g++ {
		named[g.String()] = g
	}
	return named
}

func voters(names []string) []transaction.Voter {
	list := make([]transaction.Voter, 0, len(names))
	for _, name := range names {
		list = append(list, transaction.Voter(name))
	}
	return list
}

func (s *script) run(t *testing.T, input string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(input) {
		line = strings.TrimSpace(line)
		words, _, _ := strings.Cut(line, "#")
		fmt.Fprintf(&b, "> %s\n", line)
		if fields := strings.Fields(words); len(fields) > 0 {
			s.event(t, &b, fields)
		}
	}
	return b.String()
}

func (s *script) event(t *testing.T, b *strings.Builder, words []string) {
	t.Helper()
	switch words[0] {
	case "vote":
		s.vote(t, b, words[1:])
	case "ended", "lost":
		for _, name := range s.named(words[1]) {
			if words[0] == "ended" {
				s.tx.Ended(name)
			} else {
				s.tx.Lost(name)
			}
		}
	case "stop":
		s.tx.Stop()
	case "abort":
		s.tx.Abort()
	case "turn":
		s.turn(t, words[1:])
	case "grace":
		s.tx.GraceEnded(number(t, words[1]))
	case "recorded":
		s.tx.Recorded(number(t, words[1]))
	case "record-failed":
		s.tx.RecordFailed(number(t, words[1]))
	case "late":
		back := words[3] == "taken-back"
		s.tx.LateResolved(number(t, words[2]), transaction.Voter(words[1]), back)
	default:
		require.Failf(t, "unknown event", "%q", words)
	}
	s.describeAwaited(b, s.effects(t, b))
}

func (s *script) named(word string) []transaction.Voter {
	if word == "all" {
		return s.voters
	}
	return voters(strings.Split(word, ","))
}

func (s *script) vote(t *testing.T, b *strings.Builder, words []string) {
	t.Helper()
	for _, name := range s.named(words[0]) {
		ticket, err := s.tx.Cast(name, phase(t, words[1]), hash(words[2]))
		if err != nil {
			fmt.Fprintf(b, "  error: %s\n", err)
			continue
		}
		require.False(t, s.waiting[ticket])
		s.waiting[ticket] = true
		if words[0] == "all" || strings.Contains(words[0], ",") {
			s.effects(t, b)
		}
	}
}

func (s *script) turn(t *testing.T, words []string) {
	t.Helper()
	switch words[0] {
	case "taken":
		var lapsed []transaction.Voter
		if len(words) > 1 {
			require.Equal(t, "without", words[1])
			lapsed = s.named(words[2])
		}
		s.tx.TurnTaken(lapsed)
	case "refused":
		s.tx.TurnRefused()
	default:
		require.Failf(t, "unknown event", "turn %q", words)
	}
}

func number(t *testing.T, word string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(word, 10, 64)
	require.NoError(t, err)
	return n
}

func phase(t *testing.T, word string) transaction.Phase {
	t.Helper()
	for p := transaction.Unknown; p <= transaction.Preparing; p++ {
		if p.String() == word || p == transaction.Synchronized && word == "sync" {
			return p
		}
	}
	require.Failf(t, "unknown phase", "%q", word)
	return 0
}

// hash returns the vote that a word of a script stands for.
func hash(word string) transaction.Vote {
	switch word {
	case "zero":
		return transaction.Vote{}
	case "pre-receive", "update", "post-receive":
		return sha1.Sum([]byte("synchronize " + word + " hook"))
	}
	return sha1.Sum([]byte(word))
}

// effects writes down what the transaction asks for, in the order in which the shell does it.
func (s *script) effects(t *testing.T, b *strings.Builder) []transaction.Awaited {
	t.Helper()
	r := s.tx.Ready()
	if r.Committing {
		b.WriteString("  nodes begin to commit\n")
	}
	for _, a := range r.Answers {
		require.True(t, s.waiting[a.Ticket], "answered twice or never asked")
		delete(s.waiting, a.Ticket)
		fmt.Fprintf(b, "  %s: %s\n", a.Voter, a.Decision)
	}
	if r.TakeTurn != nil && r.TakeTurn.LocksHeld {
		b.WriteString("  take the turn, soon, since locks are held\n")
	} else if r.TakeTurn != nil {
		b.WriteString("  take the turn\n")
	}
	if r.YieldTurn {
		b.WriteString("  offer the turn to others\n")
	}
	if r.ReleaseTurn {
		b.WriteString("  release the turn\n")
	}
	if r.Grace != nil && r.Grace.Write == 0 {
		fmt.Fprintf(b, "  grace before the turn is released, for %s\n", join(r.Grace.Voters))
	} else if r.Grace != nil {
		fmt.Fprintf(b, "  grace for %s\n", join(r.Grace.Voters))
	}
	if r.Record != nil {
		fmt.Fprintf(b, "  record %s\n", describeRecord(*r.Record))
	}
	for _, l := range r.Late {
		fmt.Fprintf(b, "  %s confirms write %d late\n", l.Voter, l.Write)
	}
	return r.Awaited
}

func (s *script) describeAwaited(b *strings.Builder, awaited []transaction.Awaited) {
	var names []transaction.Voter
	for _, a := range awaited {
		names = append(names, a.Voter)
	}
	if list := join(names); list != s.awaited {
		s.awaited = list
		if list == "" {
			list = "nobody"
		}
		fmt.Fprintf(b, "  others wait for %s\n", list)
	}
}

func join(names []transaction.Voter) string {
	list := make([]string, 0, len(names))
	for _, name := range names {
		list = append(list, string(name))
	}
	return strings.Join(list, " ")
}

func describeRecord(r transaction.Record) string {
	text := fmt.Sprintf("write %d as %s, current: %s, primary: %s",
		r.Write, r.Outcome, join(r.Raise), r.Primary)
	if r.BelowMinimum {
		text += ", too few copies"
	}
	if r.Verify {
		text += ", compare digests"
	}
	return text
}

func describeSummary(s transaction.Summary) string {
	var b strings.Builder
	fmt.Fprintf(&b, "writes: %d recorded, %d dropped, %d doubtful; rounds: %d, lost %d\n",
		s.Recorded, s.Dropped, s.Doubtful, s.Rounds, s.LostRounds)
	for _, flag := range []struct {
		set  bool
		text string
	}{
		{!s.Prepared, "nobody voted prepared"},
		{s.BelowMinimum, "recorded with too few copies"},
		{s.Failed, "a record failed"},
		{s.Unfinished, "a write has no outcome yet"},
		{s.Busy, "repository busy"},
		{s.Stopped, "stopped"},
		{s.Aborted, "aborted"},
		{s.Verify, "compare digests"},
	} {
		if flag.set {
			fmt.Fprintf(&b, "%s\n", flag.text)
		}
	}
	for _, v := range s.Voters {
		fmt.Fprintf(&b, "%s: %s, %s\n", v.Voter, v.Evidence, standing(v))
	}
	return b.String()
}

func standing(v transaction.VoterSummary) string {
	switch {
	case v.Learner:
		return "learner"
	case v.Current:
		return "current"
	}
	return "outdated"
}
