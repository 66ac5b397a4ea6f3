// Package failpoint lets tests stop this process at a named step of a write, and lets them take
// single rules out of it. Neither is there in what users install: without the build tags of this
// package everything in it compiles to nothing.
//
// # Failpoints
//
// With the tag "failpoints", [Hit] looks the point up in the environment variable
// PRAEFECT_FAILPOINTS, a list of
//
//	name[:nth]=/path/of/a/unix/socket
//
// separated by commas. With a number only that arrival counts, the first being 1; without one each
// arrival does. The name "*" stands for all points. At such a point the process connects to the
// socket, writes one line, "name pid", and waits until it reads a byte or the connection ends.
// Meanwhile the harness may do what it likes to this process and to others. When nobody listens,
// the process goes on.
//
// A point may stand where a lock is held: whoever needs that lock waits along. A test must let
// every point go on.
//
// # Sabotage
//
// With the tag "sabotage", [Sabotaged] says whether the environment variable PRAEFECT_SABOTAGE
// names a variant. Each leaves out one rule, and the tests of whole clusters have to notice: a
// checker that never fails proves nothing. PRAEFECT_SABOTAGE=list makes the program print the names
// and end.
//
// # Concurrency
//
// All functions are safe for concurrent use. The environment is read once.
package failpoint
