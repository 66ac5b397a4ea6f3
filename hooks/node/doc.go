// Package node is a small node of the Gitaly protocol: one storage with real bare repositories,
// served by real Git.
//
// It makes a cluster runnable, and its tests honest, on a machine without GitLab. A proxy cannot
// tell it from another node: it speaks the same protocol, casts the same votes in the same phases
// and the same order, runs the same hooks, and offers the methods that a cluster needs. Methods
// that only the application needs answer Unimplemented.
//
// It does no housekeeping, has no limits per user, serves no SSH or HTTP itself, and knows nothing
// of other nodes, except that it copies a repository from the one that it is told.
//
// # A change
//
//	call -> locate -> participate -> operate -> Git with hooks -> end
//	                       |             |           |
//	                 transaction    token for    praefect-hooks asks this node,
//	                 and voter      the hooks    which asks the coordinator
//
// A call takes part in a vote when its metadata says so, and works the same without. The
// coordinator is reached over the connection by which the call came in.
//
// # Invariants
//
//   - Git is never killed while it can hold locks. It gives up by itself when its hooks refuse or
//     its input ends: when a caller is gone, input is closed and votes are cancelled.
//   - A call returns after its Git has ended. So no change happens behind the back of a
//     coordinator that saw the call end.
//   - What is answered is on disk, unless Config.NoSync says otherwise.
//   - When the node's process dies, the kernel kills what it started (on Linux).
//   - Whatever path a caller names, nothing outside the storage's directory is touched.
//
// # Failures
//
//	what fails              what the caller sees         what is left
//	a vote                  the code for the method      nothing; after "committed" everything
//	Git                     Internal with its message    what Git leaves: nothing, or everything
//	caller leaves           -                            nothing, or everything
//	node is killed          a broken connection          locks, removed at the next start
//	path of no repository   NotFound                     -
//
// # Concurrency
//
// A [Node] is used by one goroutine; its calls run concurrently and exclude each other where Git's
// locks do, or by the path of a repository that comes or goes.
package node
