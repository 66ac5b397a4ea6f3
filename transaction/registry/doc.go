// Package registry holds the live transactions of a process and serves the votes of nodes.
package registry
