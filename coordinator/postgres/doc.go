// Package postgres keeps the coordinator's metadata in PostgreSQL.
//
// Every operation of the contract is one statement, hence one round trip and atomic without a
// transaction block; the statements are the files below sql, one an operation, and name the schema
// of every table, since a search path does not survive a connection pooler. Statements that change
// replicas lock the row of their repository first, so that what they compare with is the newest
// state and not that from before a wait, and so that they cannot dead-lock.
//
// Time is the database's. Statements are bounded by their context and by Config.StatementTimeout,
// and cancelled in the server when it ends. No statement is prepared and no run-time parameter is
// set, so PgBouncer in transaction mode can stand in between.
//
// What goes wrong: without a connection, during a failover, or after the bound, operations return
// coordinator.ErrMetadataUnavailable. A statement that certainly was not executed is repeated once
// on another connection. A server that turned read-only or is shutting down makes the pool give up
// all its connections, so that the next ones are made to the new primary.
package postgres
