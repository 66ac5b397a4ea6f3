package main

import "slices"

// rule is something that the protocol does, and the model can leave out.
type rule struct {
	// macro is its name in replication.pml, behind RULE_.
	macro string
	// text says what the rule is, in the words of ARCHITECTURE.md.
	text string
	// run names the configuration that covers what the violation takes.
	run string
	// violation is the property that fails without the rule, as the model names it.
	violation string
}

// rules returns every rule of the model.
func rules() []rule {
	return slices.Concat(rulesOfWrites(), rulesOfRecovery(), rulesOfRepair(), rulesOfReads())
}

func rulesOfWrites() []rule {
	return []rule{
		{
			"COPIES", "PREPARED is won, and the write recorded, with the minimum of copies",
			"race", "P1 copies",
		},
		{
			"TURN", "one write at a time of all proxies commits", "race-away", "P4 divergence",
		},
		{
			"BASE", "the base is read after the intent is there, and the lapsed are left out",
			"race", "P6 unknown-without-a-fault",
		},
		{
			"SUCCESSOR", "a primary that did not confirm is replaced by the record",
			"race", "P1 copies",
		},
		{"RECORD", "the outcome is recorded before the answer", "race", "P5 lost"},
		{
			"LATE_VOTE", "whoever votes after the record is told ABORT", "race", "P4 divergence",
		},
		{
			"LEASE", "the lease is looked at before each release of COMMIT",
			"freeze", "P4 divergence",
		},
		{
			"COMPARE_AND_SET", "a record compares intent, epoch and generation",
			"freeze", "P4 not-repaired",
		},
		{
			"HONEST", "a write that somebody was told to commit is never said not to have happened",
			"node", "P7 none-but-visible",
		},
	}
}

func rulesOfRecovery() []rule {
	return []rule{
		{
			"INTENT", "the intent is durable before anybody is told COMMIT",
			"crash", "P4 divergence",
		},
		{
			"MARK", "a write that could not be recorded is left to recovery, not just compared",
			"two-faults", "P4 divergence",
		},
		{
			"INCARNATION", "a restarted process does not renew its predecessor's lease",
			"crash", "stuck turn-held",
		},
		{
			"ADOPTION", "a decision compares the adoption's number, epoch and generation",
			"two-faults", "P5 lost",
		},
		{
			"DIGEST", "recovery keeps only replicas that hold the same", "crash", "P4 divergence",
		},
		{
			"SETTLE", "nodes that may still act on a recovered write are compared once more",
			"freeze", "P4 divergence",
		},
	}
}

func rulesOfRepair() []rule {
	return []rule{
		{
			"CLAIM", "a replica that is claimed for repair is not confirmed late",
			"race", "P1 copies",
		},
		{
			"HOLD", "the last copy of a repair is made under the turn",
			"race", "P6 repaired-behind",
		},
		{
			"COPIED", "a repair raises to the generation that was read before its last copy",
			"repair-freeze", "P4 divergence",
		},
	}
}

func rulesOfReads() []rule {
	return []rule{
		{
			"SHRINK", "whether the current set shrinks is computed by the statement itself",
			"reads", "P2 stale",
		},
		{
			"AWAIT", "an answer waits until the others have applied invalidations",
			"reads", "P2 stale",
		},
		{
			"EARLIER", "it waits for the invalidations of earlier writes too",
			"reads-two", "P2 stale",
		},
		{"APPLY", "a proxy applies invalidations before it acknowledges", "reads", "P2 stale"},
		{
			"DETACH", "a read does not join a load begun before an invalidation",
			"reads", "P2 stale",
		},
		{
			"INSERT", "a route loaded before an invalidation is not kept after it",
			"reads", "P2 stale",
		},
		{
			"CACHE_LEASE", "a cached route is used only while the lease holds",
			"reads-freeze", "P2 stale",
		},
	}
}
