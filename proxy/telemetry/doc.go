// Package telemetry measures calls to nodes for Prometheus. It changes nothing about them.
//
// A unary call costs no memory and takes no lock: what counts a method is found in a map that is
// replaced, never changed.
package telemetry
