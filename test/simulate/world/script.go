package world

import (
	"fmt"
	"strings"
	"time"
)

// Script is what happens in one run, as far as it is not left to the seed.
type Script struct {
	Seed           uint64
	Nodes, Proxies int
	Calls          []Call
	Faults         []Fault
}

// CallKind is what a client does.
type CallKind string

// The kinds of calls.
const (
	// Push changes one reference; nodes vote twice, as Git does.
	Push CallKind = "push"
	// PushTwo changes two references one after the other in one call.
	PushTwo CallKind = "push-two"
	// Atomic changes all references of a group at once.
	Atomic CallKind = "atomic"
	// Locked is like Push, by a method that takes its locks first.
	Locked CallKind = "locked"
	// Fetch is like Push, by a method that waits for the turn with its locks held.
	Fetch CallKind = "fetch"
	// Delete removes a reference without a vote.
	Delete CallKind = "delete"
	// Look reads from any replica, LookPrimary from the primary.
	Look        CallKind = "look"
	LookPrimary CallKind = "look-primary"
	// Create and Remove are about a repository as a whole.
	Create CallKind = "create"
	Remove CallKind = "remove"
)

// Call is one call of a client.
type Call struct {
	Client     int
	Pause      time.Duration
	Kind       CallKind
	Repository int
	Register   int
	// Guarded names the value that the client saw last.
	Guarded bool
	// Proxy is where it goes first.
	Proxy int
	// Patience is when the client goes away, if it is not zero.
	Patience time.Duration
}

// FaultKind is what breaks.
type FaultKind string

// The kinds of faults.
const (
	ProxyCrash  FaultKind = "proxy-crash"
	ProxyPause  FaultKind = "proxy-pause"
	NodeCrash   FaultKind = "node-crash"
	NodePause   FaultKind = "node-pause"
	SlowDisk    FaultKind = "slow-disk"
	Partition   FaultKind = "partition"
	Lossy       FaultKind = "lossy"
	SlowNetwork FaultKind = "slow-network"
	StoreAway   FaultKind = "store-away"
	// StoreCut keeps one proxy from the store.
	StoreCut   FaultKind = "store-cut"
	StoreSlow  FaultKind = "store-slow"
	StoreLossy FaultKind = "store-lossy"
	StoreLost  FaultKind = "store-lost-tail"
)

// Fault is one thing that breaks, and is healed after a while.
type Fault struct {
	Kind FaultKind
	// At is its time; or, if Step is there, it happens the so many'th time at that step of the
	// proxy.
	At   time.Duration
	Step string
	Nth  int
	// Proxy and Node are whom it concerns.
	Proxy, Node int
	For         time.Duration
}

// String is a line of a trace.
func (f Fault) String() string {
	when := f.At.String()
	if f.Step != "" {
		when = fmt.Sprintf("at %s #%d", f.Step, f.Nth)
	}
	return fmt.Sprintf("%-16s %-14s proxy-%d node-%d for %s", f.Kind, when, f.Proxy, f.Node, f.For)
}

// String is a line of a trace.
func (c Call) String() string {
	guard := ""
	if c.Guarded {
		guard = " guarded"
	}
	if c.Patience > 0 {
		guard += " patience " + c.Patience.String()
	}
	return fmt.Sprintf("client-%d after %-14s %s repository-%d register-%d proxy-%d%s",
		c.Client, c.Pause, c.Kind, c.Repository, c.Register, c.Proxy, guard)
}

// String lists a script, one thing a line.
func (s Script) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %d nodes, %d proxies\n", s.Seed, s.Nodes, s.Proxies)
	for _, call := range s.Calls {
		fmt.Fprintln(&b, call)
	}
	for _, fault := range s.Faults {
		fmt.Fprintln(&b, fault)
	}
	return b.String()
}
