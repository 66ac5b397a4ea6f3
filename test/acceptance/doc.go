// Package acceptance runs the programs of this tree between the real programs that operators have
// around them: PgBouncer, HAProxy, a DNS server, several PostgreSQL servers. Its tests are named
// after the requirements that they prove.
//
// A test whose program is not installed is skipped and names the Debian package; `make acceptance`
// installs them all.
package acceptance
