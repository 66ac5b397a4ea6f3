// Package digest asks a node what it holds of a repository, in a form that can be compared with
// what another node holds: two replicas have the same digest exactly when they hold the same.
//
//	kind          what it covers                                         asked with
//	References    every reference of refs/ with the object it leads to,  ListRefs,
//	              and what HEAD points to and leads to                   FindDefaultBranchName,
//	                                                                     GetSnapshot when detached
//	Hooks         names, modes and contents of the custom hooks          GetCustomHooks
//	Link          the object pool                                        GetObjectPool
//	Config        the repository's configuration file                    GetConfig
//	Locks         names of lock files of references, none being [NoLocks]   GetSnapshot
//	Verification  references, hooks and link together                    all but GetConfig
//
// What no node can be asked for is not covered: the target of a symbolic reference other than HEAD
// (it counts as the object that it leads to), a reference that leads nowhere, and objects that no
// reference leads to. Nothing that differs between nodes without meaning is covered either: times
// and owners of hooks, the order in which an archive lists them, blank lines and comments of the
// configuration and the order of its sections.
//
// A node that has no such repository gives the digest [Absent]: that is knowledge, not an error. An
// error says that the node could not be asked; it says nothing about the repository.
//
// The package does not compare, and does not know why it is asked. Whoever asks keeps changes away,
// or asks twice: what changes between the parts of one digest may be seen in one part only.
//
// # Invariants
//
//   - A text is hashed together with its length or with an end mark that it cannot contain, so no
//     two states run together into one digest.
//   - Memory is constant in the number and size of references. It grows with the number of custom
//     hooks, not with their sizes, and with the size of a configuration; both are bounded.
//
// # Failures
//
//	node not configured              [ErrUnknownNode]
//	node down, frozen, or sick       its status, or the context's error
//	more hooks or configuration
//	than are compared                [ErrTooLarge]
//	references out of order          [ErrUnordered]
//	an archive nobody can read       the error of reading it
//
// # Concurrency
//
// A [Digester] keeps no state and is safe for concurrent use. Each call ends when its context does;
// no call carries transaction metadata, so no node votes.
package digest
