// Package health finds out which storages answer, as far as this process can see.
//
// Each second every node is asked, in parallel, and has a second to answer. A storage is
//
//	unknown --serving--> healthy --missed twice, or told at once--> unhealthy --serving--> healthy
//
// One missed answer is not enough, since a pause of the node or a lost packet would take it out of
// every write of that second. A refused or broken connection, or an answer that the node does not
// serve, is believed at once. What says nothing about the node, such as a call that was reset,
// changes nothing. Unknown counts as unhealthy; [Checker.Checked] says when the first round is
// over.
//
// The package does not decide anything: the coordinator asks it before it routes. It does not know
// how a node is asked either; a Prober does.
package health
