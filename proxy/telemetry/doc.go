// Package telemetry measures calls to nodes for Prometheus, and reports failures of calls to
// Sentry. It changes nothing about them.
//
// A unary call costs no memory and takes no lock: what counts a method is found in a map that is
// replaced, never changed.
//
// Reports are sent in the background, a bounded number at a time. Nothing is in them that clients
// sent, but the id of their request. A [Sentry] that cannot send counts and tells of it, and holds
// nobody up but the end of the process, for two seconds.
package telemetry
