// Package verify looks for replicas on their disks, regularly and when an operator asks for it, and
// compares what they hold.
//
// A [Worker] claims replicas on healthy storages that were not found for longer than the interval:
// those that were never found first. It asks their nodes whether they have the repository. The
// lease of a claim keeps other proxies away; a lease whose proxy died is given back after it ends.
//
//	due --claim--> leased --found--> verified, due again after the interval
//	 ^               |----- missing, another is current --> absent, repaired
//	 |               |----- missing, no other is current -> kept, told, left alone for a while
//	 +---------------+----- no answer
//
// When the primary's replica was found, the checksums of all current replicas are compared too.
// They are taken beside the writers, so they count only if generation and turn were unchanged
// around them, and no call was announced that changes replicas without the turn. A difference, and
// each so-manieth comparison whatever it says, asks for the exact one under the turn, which package
// coordinator/recovery makes: that decides what differs.
//
// # Invariants
//
//  1. A replica is taken for absent only under the turn, after its node said so once more, and only
//     while another replica is current: what may be the last copy keeps its record.
//  2. Nothing here removes anything from a disk.
//
// What a node misses is repaired however much that is, as an empty disk is no reason to serve less;
// a storage that misses most of what was looked for is told as an error.
package verify
