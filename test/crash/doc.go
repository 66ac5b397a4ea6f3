// Command crash kills one process at each step of a write, and looks at what comes of it.
//
// A case is a point (package transaction/failpoint), a scene that passes it, and a victim: the
// proxy that has arrived there, the repository's primary, a secondary, or PostgreSQL. Three nodes,
// two proxies on one database and PostgreSQL run as processes; the operation is a real one on real
// Git. When the point is reached the victim's whole process group is killed (PostgreSQL: stopped at
// once), and then the point is let go. A proxy may also be frozen there (SIGSTOP) and go on when
// the others have taken over.
//
// # What must hold
//
// Within ten seconds after the survivors can reach each other (longer by the deadline of nodes that
// wait for a proxy which froze, or which died in the instant in which it told the first to commit):
//
//   - the metadata have no intent and no creation of the repository left;
//   - replicas recorded as current are equal on the disks: references, HEAD and hooks;
//   - an acknowledged write is on all of them, one that surely failed (trailer praefect-outcome:
//     none) on none, and an atomic one is there wholly or not at all;
//   - a write to the same reference succeeds, and every read after it sees it, through each proxy.
//
// When the victim is back, moreover: all assigned replicas are current and equal, no lock file is
// left on any disk, and no directory of a repository that the metadata do not know.
//
// When all cases were tried, every creation and removal that one of them has left to the workers
// comes to its end within a minute.
//
// # Output
//
// A row for each case, and in the end "crashmatrix: cases=N failed=N". The exit status is 1 when
// any case failed; its logs are kept where the row says. Clusters are used for many cases and
// replaced after one that failed.
//
//	go run ./test/crash -run 'recorded/proxy'
//
// With -sabotage the proxies leave out a rule (failpoint.Variant), and cases have to fail.
package main
