// Package audit looks at a cluster when all faults are over: at what is recorded about replicas,
// and at what is on the disks.
//
// It demands that in time every replica is current, no creation, removal or write is left open, and
// no disk has a lock file, or a repository that nothing is recorded about (otherwise: unresolved);
// and that then all replicas of a repository have the same references, HEAD and custom hooks, and
// git fsck finds nothing (otherwise: diverged). So a lock that a node keeps until its own deadline
// is not taken for a difference by whoever has no patience.
//
// The metadata are read from the database: of this project in the schema praefect, of the existing
// release, which the same program may be run against, in the schema public.
package audit
