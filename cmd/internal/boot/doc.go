// Package boot composes the server: it makes every part in the order in which they need each
// other, and ends them in the reverse order. No other package knows all of them.
//
//	start  metrics, certificates, database, voting, connections to nodes, coordinator, calls,
//	       workers (waits for the first round of health checks), listeners
//	run    until the context ends, a worker fails, or a listener fails
//	end    listeners, calls under way, calls that nodes have not ended, workers,
//	       connections to nodes, database, metrics
//
// Starting never waits for something without saying so in the log, and for nothing without a bound.
// What is missing at the start (database, migrations, a free port) is an error at once: whoever
// supervises the process starts it again. Nodes may be missing.
//
// Listeners can be inherited: then this process accepts calls while the one that it replaces still
// serves, and says through Options.Ready that the other one may end.
//
// Ending waits for the calls under way until the grace is over, or until the caller forces it; then
// Run returns an error and the process is expected to exit, because what is left cannot be waited
// for.
package boot
