// Package audit looks at a cluster when all faults are over: at what is recorded about replicas,
// and at what is on the disks.
//
// It demands that in time every replica is current, and no creation, removal or write is left open
// (otherwise: unresolved); and that then all replicas of a repository have the same references,
// HEAD and custom hooks, that git fsck finds nothing, and that no disk has a lock file, or a
// repository that nothing is recorded about (otherwise: diverged).
//
// The metadata are read from the database: of this project in the schema praefect, of the existing
// release, which the same program may be run against, in the schema public.
package audit
