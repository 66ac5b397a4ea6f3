// Command chaos breaks a cluster while clients use it, and proves from what the clients saw that no
// promise was broken.
//
//	chaos -seed 1 -minutes 2 -proxies 3 -nodes 3 [-praefect path]
//
// It starts a private PostgreSQL, nodes and proxies as processes of their own, a TCP balancer in
// front of the proxies, and forwarders between all parties. Clients (package client) write and read
// through random proxies while faults (package fault) are injected. Then everything is mended, and
// within 60 s all replicas must be current and equal (package audit). The recorded history is
// judged (package history). With -praefect, or the variable PRAEFECT of make, the same runs against
// another praefect binary with the same configuration file.
//
// # The last line
//
//	chaos: seed=1 faults=N acknowledged=N lost=0 stale=0 torn=0 undone=N diverged=0 unresolved=0
//	availability=0.NN
//
// (in one line) counts violations as packages history and audit define them; undone is allowed,
// everything else is not. acknowledged counts write calls that ended well.
//
// # Availability
//
// It is the share of calls that succeeded among the write calls that touched nothing broken. Left
// out are calls that
//
//   - could not be done as asked for, because a reference had moved or a repository did or did not
//     exist,
//   - were told that the repository is busy, after the ten seconds that a turn is waited for,
//   - overlap, from their begin to their end, a fault (extended by a second) of the proxy through
//     which they went or of its connection to balancer or database,
//   - were never connected to a proxy, and overlap such a fault of any proxy,
//   - overlap a restart of PostgreSQL, extended by two seconds,
//   - overlap the first five seconds of a fault of the node that was the primary of their
//     repository when the fault began: that is how long it may take to notice and to elect
//     another; a full disk of the primary, which does not stop it, counts for its whole time,
//   - went through the proxy whose connection to that primary was broken at the time.
//
// # Exit status
//
// Not 0 when anything but undone was found, or that with a program that loses no proxy, when fewer
// than five writes were acknowledged for each second that was asked for, when a kind of fault came
// less than three times in two minutes (in proportion, rounded down; with a program, whatever it
// breaks, all kinds together), when fewer reads succeeded than half of the writes that are needed,
// when the availability with -program node is below 0.99 or that of fewer writes than that half, or
// when the run itself failed. On a slow machine a run goes on for up to as long again, with
// faults of the missing kinds only, until there was enough of all. In one of less than two minutes
// a single fault may take most of the time, so the writes that are needed are fewer by the square
// of its length. Then the directory with logs, disks and history is kept, and the command to run it
// again is printed.
//
// # Sabotage
//
// With -sabotage, it builds a praefect with the tag sabotage, asks it (PRAEFECT_SABOTAGE=list) for
// the names of its variants, each of which leaves out one rule, and runs itself against each, with
// up to three seeds until a violation is found. A checker that never fails proves nothing.
package main
