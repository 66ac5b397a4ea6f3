// Command interop tries what GitLab does with a cluster, on real processes: three nodes, a plain
// node that is no part of the cluster, PostgreSQL and the proxy. The nodes are the bundled ones or,
// with -gitaly, an unmodified Gitaly; the suite is the same.
//
//	go run ./test/interop -gitaly /opt/gitaly/gitaly -git /opt/git/bin/git
//
// # What must hold
//
// After every call of a case all replicas of the repository are recorded as current, are equal
// (references, HEAD, hooks, pool and configuration, as the nodes themselves tell), and nobody holds
// a turn. At the end no replica was ever repaired, except by cases that break something: where
// nothing failed, none may be outdated.
//
// # Output
//
// A row for each case, and in the end "interop: cases=N failed=N skipped=N". The exit status is 1
// when a case failed; the logs of its cluster are kept where the row says. Cases that the nodes or
// their Git cannot do are skipped and say why. Without -gitaly the command says that there is
// nothing to try, counts every case as skipped, and exits with 0; -bundled tries the bundled nodes,
// which is what the tests of this package do.
//
// # Cases
//
// A case is a row of a table: a name, what it needs, a function. The functions are written like
// tests, with testify; a [take] is what *testing.T is there.
package main
