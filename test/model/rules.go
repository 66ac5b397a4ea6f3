package main

import "slices"

// rule is something that the protocol does, and the model can leave out.
type rule struct {
	// macro is its name in replication.pml, behind RULE_.
	macro string
	// text says what the rule is, in the words of ARCHITECTURE.md.
	text string
	// run covers what the violation takes.
	run []string
	// violation is the property that fails without the rule, as the model names it.
	violation string
}

// rules returns every rule of the model.
func rules() []rule {
	one := []string{"W1=0", "FAULTS=0", "RECOVERERS=1"}
	frozen := []string{"W1=0", "FAULTS=1", "FREEZE", "RECOVERERS=1"}
	crashed := []string{"W1=0", "FAULTS=1", "CRASH", "RECOVERERS=1"}
	return []rule{
		{
			"COPIES", "PREPARED is won, and the write recorded, with the minimum of copies", one,
			"P1 copies",
		},
		{
			"SUCCESSOR", "a primary that did not confirm is replaced by the record", one,
			"P1 copies",
		},
		{"RECORD", "the outcome is recorded before the answer", one, "P4 divergence"},
		{
			"LEASE", "the lease is looked at before each release of COMMIT", frozen,
			"P4 divergence",
		},
		{
			"SETTLE", "nodes that may still act on a recovered write are compared once more",
			frozen, "P4 divergence",
		},
		{"DIGEST", "recovery keeps only replicas that hold the same", crashed, "P4 divergence"},
		{
			"INTENT", "the intent is durable before anybody is told COMMIT", crashed,
			"P4 divergence",
		},
		{
			"INCARNATION", "a restarted process does not renew its predecessor's lease", crashed,
			"stuck turn-held",
		},
	}
}

// allRules returns the macros that have to be defined, those that no run leaves out among them:
// for them no configuration that is small enough shows what fails.
func allRules() []string {
	names := []string{
		"TURN", "HONEST", "COMPARE_AND_SET", "SHRINK", "EARLIER", "LATE_VOTE", "AWAIT", "MARK",
		"CLAIM", "APPLY", "DETACH", "INSERT", "CACHE_LEASE", "GENERATION", "ADOPTION", "HOLD",
		"COPIED", "BASE",
	}
	for _, rule := range rules() {
		if !slices.Contains(names, rule.macro) {
			names = append(names, rule.macro)
		}
	}
	return names
}
