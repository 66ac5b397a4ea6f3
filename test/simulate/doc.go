// Command simulate plays a cluster in one process, a script for each seed, and proves that it kept
// its promises; package world says how and what. Seeds are spread over processes, one a core, each
// of which runs one goroutine at a time, so that a seed runs alike each time.
//
//	simulate -seeds 1000            seeds 1 to 1000
//	simulate -seeds 1 -seed 42      one seed: a failing one is shrunk, and its trace printed
//	simulate -sabotage              built with -tags sabotage: each rule left out must be noticed
//
// It prints one line:
//
//	simulate: seeds=1000 steps=N faults=N lost=0 stale=0 torn=0 diverged=0 stuck=0
//
// and exits with 1 if any of the last five is not 0. Stuck is what does not come in order within a
// minute after the last fault, or a history about which there is no verdict; diverged a difference
// between replicas then, or a step that the model of the protocol does not allow (package
// abstract); lost also a write that was acknowledged on too few disks.
package main
