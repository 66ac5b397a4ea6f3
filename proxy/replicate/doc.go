// Package replicate copies a repository from one node to another and removes replicas, on behalf
// of the repair and removal workers.
//
// A copy is made by the target itself: ReplicateRepository names the source, and the metadata key
// `gitaly-servers` tells the target how to reach it. Afterwards the link to the object pool is
// made equal to the source's. Neither call carries transaction metadata, so no node votes.
//
// The package does not decide what is copied when, and knows nothing about generations. It keeps
// no state; everything in it is safe for concurrent use. Each call ends when its context does.
package replicate
