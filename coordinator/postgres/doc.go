// Package postgres keeps the coordinator's metadata in PostgreSQL.
//
// Nearly every operation of the contract is one round trip and atomic without a transaction block:
// one statement, or a few that are sent together and that the server takes as one transaction. The
// statements are the files below sql, and name the schema of every table, since a search path does
// not survive a connection pooler. Where a statement has to see what an earlier one waited for, it
// is one of its own, because the server takes a new snapshot for each: the state of a repository is
// read behind the statement that waits for the turn, a record runs behind the lock of the
// repository, and who has to acknowledge its invalidation is read once that has its number.
//
// Locks are taken in one order, so that statements cannot dead-lock: the repository, its intent,
// its replicas, the counter of invalidations. While a statement holds the repository, nobody
// changes its generation, epoch, primary or state, or the generation of a replica. The counter is
// held to the end of the transaction, so invalidations become visible in the order of their
// numbers; whoever begins an incarnation waits for it, since a statement that holds it does not see
// the newcomer.
//
// Time is the database's. Statements are bounded by their context and by Config.StatementTimeout,
// and cancelled in the server when it ends. Statements are prepared on connections that lead to the
// server itself, which is found out when one is made, and on no others; and no run-time parameter
// is set, so PgBouncer in transaction mode can stand in between. Only [Store.Listen] needs a
// connection of its own to the server itself; it tries out whether notices arrive, and without them
// everything is found out by polling.
//
// What goes wrong: without a connection, during a failover, or after the bound, operations return
// coordinator.ErrMetadataUnavailable. A statement that certainly was not executed is repeated once,
// and one that may be done twice also after its connection broke. A server that turned read-only,
// is shutting down or broke a connection makes the pool give up all its connections, so that the
// next ones are made to the new primary.
package postgres
