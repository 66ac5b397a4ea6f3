package world

import (
	"math/rand/v2"
	"slices"
	"time"
)

// What a drawn script is made of.
const (
	clients      = 3
	callsMin     = 5
	callsMax     = 12
	repositories = 2
	registers    = 2
	// lifecycle is a repository that is created and removed.
	lifecycle = repositories
	// faultSpan is the time in which faults begin.
	faultSpan = 4 * time.Second
	faultsMax = 4
)

// Draw makes a script of a seed.
func Draw(seed uint64) Script {
	random := rand.New(rand.NewPCG(seed, seed^mixA)) //nolint:gosec // it has to be repeatable
	script := Script{Seed: seed, Nodes: 3, Proxies: 2 + random.IntN(2)}
	for client := range clients {
		for range callsMin + random.IntN(callsMax-callsMin) {
			call := drawCall(random, script, client)
			script.Calls = append(script.Calls, call)
			if !call.looks() && random.IntN(2) == 0 {
				script.Calls = append(script.Calls, call.seen(random, script))
			}
		}
	}
	for range random.IntN(faultsMax + 1) {
		script.Faults = append(script.Faults, drawFault(random, script))
	}
	if random.IntN(4) == 0 {
		script.Faults = append(script.Faults, drawSplit(random, script)...)
	}
	script.settle()
	return script
}

// settle leaves out what cannot be promised when the store forgets its latest statements: creations
// and removals of that moment, what a proxy knew that dies in the same moment, and what is read
// before the proxies have recorded again what was lost.
func (s *Script) settle() {
	if !s.forgets() {
		return
	}
	s.Faults = slices.DeleteFunc(s.Faults, func(f Fault) bool {
		return f.Kind == ProxyCrash || f.Kind == ProxyPause
	})
	for i, call := range s.Calls {
		switch {
		case call.Repository == lifecycle:
			s.Calls[i].Repository, s.Calls[i].Kind = 0, Push
		case call.looks():
			s.Calls[i].Kind = Push
		}
	}
}

// forgets says that the store loses statements that it has carried out.
func (s *Script) forgets() bool {
	return slices.ContainsFunc(s.Faults, func(f Fault) bool { return f.Kind == StoreLost })
}

func drawCall(random *rand.Rand, script Script, client int) Call {
	kinds := []CallKind{
		Push, Push, Push, PushTwo, Atomic, Atomic, Locked, Locked, Fetch, Delete,
		Look, Look, Look, Look, Look, LookPrimary, LookPrimary, LookPrimary, Create, Remove,
	}
	call := Call{
		Client: client, Pause: time.Duration(random.Int64N(int64(400 * time.Millisecond))),
		Kind: kinds[random.IntN(len(kinds))], Repository: random.IntN(repositories),
		Register: random.IntN(registers), Proxy: random.IntN(script.Proxies),
		Guarded: random.IntN(2) == 0,
	}
	if call.Kind == Remove && random.IntN(3) > 0 {
		call.Kind = Look
	}
	if call.Kind == Create || call.Kind == Remove || random.IntN(10) == 0 && call.looks() {
		call.Repository = lifecycle
	}
	if random.IntN(12) == 0 {
		call.Patience = time.Duration(random.Int64N(int64(200 * time.Millisecond)))
	}
	return call
}

// seen is a look at what a call has changed, at once and through any proxy.
func (c Call) seen(random *rand.Rand, script Script) Call {
	c.Kind, c.Guarded, c.Patience = Look, false, 0
	c.Pause = time.Duration(random.Int64N(int64(2 * time.Millisecond)))
	c.Proxy = random.IntN(script.Proxies)
	return c
}

// drawSplit separates one proxy from the store and another from a node, so that the one goes on by
// what was true, and the other leaves the node behind.
func drawSplit(random *rand.Rand, script Script) []Fault {
	blind := random.IntN(script.Proxies)
	at := time.Duration(random.Int64N(int64(faultSpan / 2)))
	split := []Fault{{
		Kind: StoreCut, At: at, Proxy: blind, For: leaseFor + faultSpan,
	}}
	for number := range script.Proxies {
		if number != blind {
			// Not at the same moment: which comes first would be left to the runtime.
			at += apart
			split = append(split, Fault{
				Kind: Partition, At: at, Proxy: number, Node: 2, For: leaseFor + faultSpan,
			})
		}
	}
	return split
}

func (c Call) looks() bool { return c.Kind == Look || c.Kind == LookPrimary }

func drawFault(random *rand.Rand, script Script) Fault {
	kinds := []FaultKind{
		ProxyCrash, ProxyCrash, ProxyCrash, ProxyPause, ProxyPause, NodeCrash, NodeCrash, NodeCrash,
		NodePause, SlowDisk, Partition, Partition, Lossy, SlowNetwork,
		StoreAway, StoreCut, StoreSlow, StoreLossy, StoreLossy, StoreLost,
	}
	fault := Fault{
		Kind: kinds[random.IntN(len(kinds))], At: time.Duration(random.Int64N(int64(faultSpan))),
		Proxy: random.IntN(script.Proxies), Node: random.IntN(script.Nodes),
		For: time.Duration(random.Int64N(int64(4 * time.Second))),
	}
	if (fault.Kind == ProxyCrash || fault.Kind == ProxyPause) && random.IntN(3) > 0 {
		steps := []string{
			"OpenTurn/sent", "OpenTurn/done", "Record/sent", "Record/done", "Record/answered",
			"vote/arrived", "vote/decided", "vote/decided", "vote/decided",
			"Resolve/sent", "Resolve/done",
			"FinishRepair/sent", "AdoptTurns/done", "Create/done", "Complete/sent", "Elect/done",
		}
		fault.Step, fault.Nth = steps[random.IntN(len(steps))], 1+random.IntN(6)
	}
	return fault
}
