// Package learn asks the nodes about methods that the built-in table lacks, so that a newer Gitaly
// needs no newer proxy.
//
// A node describes its services by gRPC reflection. The options of a method and of the fields of
// its first message say what the method does and what it is for; the package makes of them the
// same values that package method has for the methods that are known. It carries no call and
// decides nothing about routing.
//
// # What is learnt
//
//	class, scope, who streams       as described
//	repositories, storage           the one annotated field; more than one, or one in a list,
//	                                cannot be carried: a message would have to be decoded to tell
//	second repository               of mutators only: where it is on a node is found out when a
//	                                write is routed, so any other method cannot be carried
//	turn of a mutator               before_dispatch if the client sends one message: the node may
//	                                lock references before its first vote; else at_prepared
//	what a mutator writes           unknown, so replicas in doubt never count as equal and are
//	                                compared after each success
//	sidechannel                     passed on if the client of a unary accessor offers one
//
// No option says that a method creates or removes a repository. A new method that does so is
// carried as a change of a repository that exists, and refused for one that does not.
//
// # One node
//
//	never asked -> answering -> fresh -- new connection, or old --> answering -> fresh
//	                  |                                             |
//	                  +-> failed: asked again after a while         +-> failed: the answer
//	                                                                before counts
//
// A call waits for the answers of nodes that were never asked on their present connection, because
// an upgrade always makes a new one. It does not wait for nodes that failed to answer on it, nor
// because an answer is old: those are asked again beside the calls. All calls that wait for a node
// wait for the same question. A node without reflection knows nothing that is new.
//
// When nodes describe a method differently, which an upgrade may bring about, the more careful
// description counts: a mutator before maintenance before an accessor.
//
// # Bounds
//
// A question takes two seconds at most, an answer holds [Config].Bytes of descriptors and
// [Config].Services services. What is kept depends on the number of nodes and of their methods,
// never on what clients ask for. There is one goroutine for each node that is being asked.
//
// # Failures
//
//	no node knows the method                    [ErrUnknown]
//	no node could be asked, now or before       [ErrUnreachable]
//	a description that makes no sense           logged; the method stays unknown
//
// Everything exported is safe for concurrent use.
package learn
