// Package world is a cluster inside one process and one moment after the other: the real voting,
// registry, coordinator, membership, recovery, repair and removal of several proxies, over the
// metadata in memory, with nodes, network, disks and clocks that are simulated.
//
// # Time and chance
//
// A [Script] says what clients do and what breaks; everything else follows from its seed. All of it
// runs under testing/synctest, so waiting costs nothing. Each effect (a statement, a message, a
// write to a disk, a client's pause) takes a time that is a hash of the seed, of what the effect
// is, and of how many like it came before. These times differ by nanoseconds, so that one goroutine
// runs at a time, in an order that the seed decides, and a run can be repeated: its [Result] has a
// hash of all that happened.
//
// # What is simulated
//
//	disk      references per repository; a change is there as a whole or not at all. Slow at times
//	node      takes locks, votes, changes its disk, votes again; gives up a vote that nobody
//	          answers. What it was doing when it dies is over; what is on its disk stays
//	network   delays, loses, repeats; a message that was sent may arrive after its sender died
//	store     statements may be lost, or carried out when nobody waits any more, or their answers
//	          lost; it may be away, slow, or taken over by a server that lacks the latest of them
//	proxy     what package proxy does about a call, without its bytes
//
// A proxy that died is not removed from memory, it only has no effect any more.
//
// # What is demanded
//
// Clients record a history, which package history judges. A write that is acknowledged has to be on
// as many disks as its plan said. When everything is healed all assigned replicas become current
// and equal, nothing is left open, and every repository can be written.
//
// What the store and the nodes did to a repository that is there from the beginning is a path of
// the model's states, which package abstract follows; where it does not allow a step, the run has
// failed. Runs in which the store loses statements are left out of that.
package world
