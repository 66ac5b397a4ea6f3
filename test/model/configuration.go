package main

// configuration is one exhaustive exploration.
type configuration struct {
	name string
	// covers says what happens in it.
	covers string
	macros []string
	// short says that the short version of make model includes it.
	short bool
}

// configurations returns the explorations of make model. Two faults and everything at once is more
// than a machine can explore in minutes; each of these leaves out what its neighbours cover.
func configurations() []configuration {
	return []configuration{
		{
			"crash", "one write; a proxy dies at any step, the other recovers",
			[]string{"W1=0", "FAULTS=1", "CRASH", "RECOVERERS=2"},
			true,
		},
		{
			"freeze", "one write; a proxy loses its lease at any step and goes on later",
			[]string{"W1=0", "FAULTS=1", "FREEZE", "RECOVERERS=2"},
			true,
		},
		{
			"node", "one write; a node dies at any step and comes back; election, repair",
			[]string{"W1=0", "FAULTS=1", "NODE", "REPAIR=1", "RECOVERERS=1"},
			true,
		},
		{
			"away", "one write whose record gets no answer; recovery by another proxy, repair",
			[]string{"W1=0", "FAULTS=1", "AWAY", "REPAIR=1", "RECOVERERS=1"},
			true,
		},
		{
			"race", "two writes through two proxies: turns, slow nodes, late confirmations",
			[]string{"W1=0", "W2=1", "FAULTS=0", "RECOVERERS=1"},
			true,
		},
	}
}
