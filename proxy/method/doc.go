// Package method knows the methods of the Gitaly protocol: what they do, which fields of their
// first message say what they are for, and how their writes take part in the order of commits.
//
// All of it is data, in table.txt; [Builtin] reads it. The package decides nothing and looks at
// no message: package wire finds fields in the bytes, package coordinator routes and orders. It
// imports the standard library only.
//
// # Turns
//
// Commits of one repository happen in one order on all nodes, so each write has to take its
// turn. When it can wait without harm depends on what the node does before its first vote:
//
//	gate             The node votes before it locks anything, or before it writes at all: pushes
//	                 vote in the update hook, changes by a user announce themselves with a
//	                 PREPARING vote. They wait there, as long as it takes.
//	before_dispatch  The node runs git update-ref, which locks the references and then casts
//	                 PREPARED as its first vote, or it does not vote at all. Such calls are small
//	                 and wait in the proxy before any node sees them. The merges and rebases to
//	                 a reference that is given are among them: they are frequent, and a short
//	                 wait with locked references would fail them whenever a repository is busy.
//	at_prepared      As before, but the call lasts long before its first vote (fetches, rewritten
//	                 history, patches in a work tree). It waits at PREPARED, with its locks and
//	                 therefore shortly. Whoever holds the turn never waits for locks, so this
//	                 cannot become a deadlock.
//	none             Nothing to wait for: a repository under creation excludes others by its
//	                 record, and a method that never writes has no place in the order.
//
// # Invariants
//
// Every mutator with repository scope says what it writes, unless it never writes. A method has
// a target repository exactly when its scope is a repository. Values are never changed after
// [Builtin] returned, so everything may be used concurrently.
package method
