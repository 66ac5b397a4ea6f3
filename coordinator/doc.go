// Package coordinator decides where reads and writes of a repository go, in which order writes
// commit, and what is recorded of them. It knows neither the wire nor SQL.
package coordinator
