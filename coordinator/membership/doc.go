// Package membership keeps this process a member of the cluster of proxies: it holds the lease,
// learns which routes other proxies have changed, and exchanges with them which storages answer.
//
// It decides nothing about repositories. The coordinator asks it whether the lease holds before it
// commits, records or uses what it has cached, and recovery decides about what a lost lease left
// behind. It does not know how nodes are asked; the local view is given to it.
//
// # States
//
//	          Enlist, then Forget               refused, run out, another timeline
//	nobody ----------------------> lease holds ------------------------------------> ended
//	   ^                            |   ^    \                                         |
//	   |                            +---+     \ Run's context ends                     |
//	   |                            Renew      +-----> ended, resigned                 |
//	   +-------------------------- back-off -------------------------------------------+
//
// An incarnation is enlisted once and ends once. An ended one is never prolonged; the next has
// another random number, and so has each attempt to enlist, because one whose answer was lost may
// still arrive in the store.
//
// # Names
//
// A process may be told by its configuration that a living one of the same name has started it
// ([Config.Successor]); then both are members until the old one ends. Without that, the first lease
// of a process ends what was left under its name by one that died, so that nobody waits for it to
// run out. Later leases end only what the same process had before: two processes of one name,
// started so by mistake, disturb each other once.
//
// # Invariants
//
// The lease is counted from a moment before the statement was sent that took or renewed it, so that
// it ends here before it ends for others, who add [Config.Margin]. It has run out as soon as the
// monotonic clock or the wall clock says so: the one stands still while the machine is suspended,
// the other may be set. A machine whose clocks both stand still, as a virtual machine that is
// paused, notices nothing until the store refuses the next renewal.
//
// Whoever is told that the lease does not hold ends it by that: no answer that comes later makes
// the same incarnation hold again.
//
// Cached routes are forgotten after the statement that enlists and before the lease holds. What is
// loaded from then on has seen all invalidations up to the number that the statement returned;
// those that follow are received. So none is missed, whatever was loading without a lease.
//
// Invalidations are applied in order, one after the other, and acknowledged when the last of them
// is applied. While the lease holds, writes elsewhere that need it wait for that, or, if they
// cannot ask, for the time of lease and margin. So a renewal prolongs the lease only after what it
// brought is applied.
//
// Numbers of invalidations mean nothing after another server took over the store, which may have
// lost the last of them: renewals and acknowledgements name the timeline that they expect and have
// no effect on another. A new timeline ends the incarnation, and the latest writes are compared.
//
// # Failures
//
//	store away, shorter than the lease    nothing but a log line; invalidations stop as well
//	store away, longer                    the lease runs out; a new incarnation when it is back
//	this process frozen                   the same, found at the first look at a clock
//	renewal refused before its time       another process uses the name, or the store lost the
//	                                      incarnation: as lost, and the latest writes are compared
//	answer lost                           the lease counts from the last answer that came
//	notice lost                           found by the next renewal, twice a second
//	process killed                        others wait for lease and margin, or for its next start
//
// # Concurrency
//
// [Worker.Run] owns two goroutines, one that receives notices and one that tells of lost
// statements, and waits for both. It alone takes and prolongs leases. All other methods may be
// called at any time by anybody.
package membership
