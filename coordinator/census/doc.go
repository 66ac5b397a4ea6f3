// Package census tells Prometheus how much of what the database holds needs attention: repositories
// without a healthy current replica, replicas that wait for repair or for a look at the disk, open
// turns. It decides nothing, and repairs nothing.
//
// # Invariants
//
// A scrape costs the database nothing while the last count is fresh. Counts are made one after the
// other by one goroutine, only when somebody scrapes, never sooner than [Config.Pause] after the
// last, and so rarely that they take no more than a tenth of its time. A scrape waits at most
// [Config.Patience] for a count; then it gets the one before, whose age it is told.
//
// # Failures
//
// What could not be counted is missing from the scrape, logged and counted. A count that is older
// than [Config.Stale] is not shown any more.
//
// # Concurrency
//
// Scrapes may overlap with each other and with Run.
package census
