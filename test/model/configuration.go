package main

import "slices"

// configuration is one exhaustive exploration.
type configuration struct {
	name string
	// covers says what happens in it.
	covers string
	macros []string
	// length says where it belongs.
	length length
}

// length is how long an exploration takes.
type length int

const (
	// short takes seconds, long up to minutes.
	short length = iota + 1
	long
	// endless is not explored to its end: it is for a rule without which a violation comes early.
	endless
)

// configurations returns the explorations of make model. Everything at once is more than a machine
// can explore in minutes; each of these leaves out what its neighbours cover.
func configurations() []configuration {
	return append(oneWrite(), several()...)
}

// oneWrite returns those with a single write.
func oneWrite() []configuration {
	return []configuration{
		{
			"crash", "one write; a proxy dies at any step; recovery by either, repair",
			[]string{"W1=0", "FAULTS=1", "CRASH", "REPAIR=1"},
			short,
		},
		{
			"freeze", "one write; a proxy loses its lease at any step and goes on later",
			[]string{"W1=0", "FAULTS=1", "FREEZE", "REPAIR=1"},
			short,
		},
		{
			"node", "one write; a node dies at any step and comes back; election, repair",
			[]string{"W1=0", "FAULTS=1", "NODE", "SICK", "REPAIR=1", "RECOVERERS=1"},
			short,
		},
		{
			"two-faults", "one write; a record without an answer, a death, a freeze: two of them",
			[]string{"W1=0", "FAULTS=2", "AWAY", "CRASH", "FREEZE"},
			long,
		},
	}
}

// several returns those with two writes, and those with readers.
func several() []configuration {
	return []configuration{
		{
			"race", "two writes through two proxies, slow nodes, late confirmations, repair",
			[]string{"W1=0", "W2=1", "FAULTS=0", "REPAIR=1", "EARLYCOPY", "RECOVERERS=1"},
			short,
		},
		{
			"race-away", "the same with a record that gets no answer",
			[]string{"W1=0", "W2=1", "FAULTS=1", "AWAY", "REPAIR=1", "RECOVERERS=1"},
			long,
		},
		{
			"race-node", "the same with a node that dies and comes back",
			[]string{"W1=0", "W2=1", "FAULTS=1", "NODE", "REPAIR=1", "RECOVERERS=1"},
			long,
		},
		{
			"race-crash", "two writes through two proxies, one of which dies",
			[]string{"W1=0", "W2=1", "FAULTS=1", "CRASH", "RECOVERERS=1"},
			long,
		},
		{
			"repair-freeze", "two writes through one proxy; it or the one that repairs freezes",
			[]string{"W1=0", "W2=0", "FAULTS=1", "FREEZE", "REPAIR=1", "RECOVERERS=1"},
			endless,
		},
		{
			"reads", "two readers by cached routes beside a write that leaves a replica behind",
			[]string{"W1=0", "FAULTS=0", "SICK", "READERS=2", "RECOVERERS=0"},
			short,
		},
		{
			"reads-two", "a reader by cached routes beside two writes",
			[]string{"W1=0", "W2=0", "FAULTS=0", "READERS=1", "RECOVERERS=0"},
			long,
		},
		{
			"reads-freeze", "a reader whose proxy, or the writer's, loses its lease",
			[]string{"W1=0", "FAULTS=1", "FREEZE", "READERS=1", "RECOVERERS=1"},
			long,
		},
	}
}

// named returns the macros of a configuration.
func named(name string) []string {
	all := configurations()
	return all[slices.IndexFunc(all, func(c configuration) bool { return c.name == name })].macros
}
