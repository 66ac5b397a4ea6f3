// Package recovery ends the turns that their owners cannot end, and compares replicas.
//
// A write makes its intent durable before any node commits. Whoever finds the intent of a process
// that is gone, or one that was left because its outcome could not be recorded, adopts it, asks the
// nodes what they hold, decides who stays current, and writes that down in one statement together
// with the end of the turn. Until then the repository cannot be written; it can be read.
//
// The same questions are asked when a comparison is due: because a recovery has left nodes that
// might act late, because a write went in a way that nobody watched, or because it is time.
//
// The package does not copy anything (package repair does), and decides nothing that depends on how
// a node answers: what a digest is made of is its caller's matter, [Digester].
//
// # A recovery
//
//	left or orphaned --adopt--> asking --two reads agree--> deciding --resolve--> over
//	                              ^                            |
//	                              +---- nobody answers --------+
//
//	adopted:   the store has noted this process, a number, and a higher epoch. Nothing that began
//	           before can be recorded any more; nothing that another adopter has in hand either.
//	asking:    every current replica. An answer counts when the node does nothing more for the
//	           write: its call was seen to end, or two reads a settle time apart agree.
//	deciding:  a pure function of the answers. The primary's state wins, since readers may have
//	           seen it; without the primary the largest group of participants does; if none of
//	           them answers for some seconds, the largest group of those that were left out of
//	           the write. Equal groups are told apart by their current replicas that were left
//	           out of the write, then by assigned and healthy replicas, then by name: any choice
//	           is right, but it should keep many copies, and be the same whoever makes it.
//	resolving: whoever holds the winning state is kept, the others are outdated. Generation and
//	           epoch go up even if all are equal, so that no late record, late confirmation, or
//	           copy that was made meanwhile can count.
//
// Where nothing can be compared (objects) only the primary is kept, or one replica. A turn under
// which nobody was in doubt is given back, and nothing else changes.
//
// # Why nothing acknowledged is lost
//
// While the intent is there nobody else changes generation, epoch or primary. So every replica that
// is current when the turn is adopted was current at the base, and holds every acknowledged write;
// only the write in doubt, which was not acknowledged since it is not recorded, is there or not.
// Whatever non-empty group of current replicas is kept holds all that matters. The decision keeps
// only replicas that have answered and are there, and keeps at least one or does nothing. That goes
// for replicas that were left out of the write as well: they are as good as any other, and are
// outdated, when they differ from what is kept, only since two states must not be current at once.
// To outdate a replica deletes nothing: its repair begins with a copy of a kept one. What can be
// lost is a write whose client was told that its outcome is unknown; participants go before those
// that were left out so that this happens seldom.
//
// # Nodes that act late
//
// A COMMIT that the lost process has sent may reach a node after its answer. All participants that
// were not seen to end are therefore settling, kept or not: no repair touches them, and when the
// node's own deadline has passed a doubtful verification is due, which is written by the decision's
// own statement. It is carried out under the turn when all current replicas can be asked, decides
// like a recovery, and raises generation and epoch in any case. Who cannot be asked is not judged,
// since nobody waits for it.
//
// # A verification
//
//	due --claim--> sample --equal, undisturbed--> forgotten
//	                 |  disturbed, different, or doubtful
//	                 v
//	              under the turn --equal--> forgotten
//	                 |--- majority ---> minority outdated and repaired
//	                 |--- even split -> reported, due again
//	                 +--- not all asked, turn busy -> due again
//
// A sample without the turn counts only if generation, epoch and current replicas were the same
// before and after it and no turn was held. Without a doubt that a recovery has left, no replica is
// believed more than another: the minority of all current replicas is quarantined, those that
// cannot be asked are not judged and stay, a replica that is gone from its disk is outdated as long
// as another one is there and the others agree, and an even split is left to an operator. Never is
// the last current replica outdated.
//
// # Invariants
//
//  1. A decision is written only under an adoption, or a turn of this process, that nobody has
//     taken over since; epoch and generation are compared by the same statement.
//  2. Whoever is kept was asked after it could act no more, or is settling.
//  3. At least one replica that is there is kept, or nothing is written.
//
// # Failures
//
//	adopter dies or freezes      adopted anew when its lease is over; a late decision is refused
//	answer of an adoption lost   the store tells of it again with the next look
//	answer of a decision lost    repeated, which changes nothing
//	store away                   repeated while the lease holds, then left to the next adopter
//	node down                    its replica is outdated, and repaired when it is back
//	node frozen                  not waited for once it is found sick
//	all nodes down               asked again, with back-off of at most seconds
//	turn of a verification busy  tried again after some seconds
//
// # Concurrency
//
// [Worker.Run] is one loop that starts one goroutine for each repository it works on, and waits for
// them. Two bounds hold for those that ask nodes; a recovery that lets nodes settle, or waits for
// them to come back, takes no room from others. Each question has a goroutine that watches over its
// node's health.
package recovery
