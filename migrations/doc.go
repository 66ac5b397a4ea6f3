// Package migrations brings the metadata's schema in PostgreSQL up to date.
//
// Everything lives in the schema praefect, the record of applied migrations (praefect.migrations)
// and the lock that excludes concurrent runs (praefect.migration_lock) included; nothing outside
// that schema is ever read or written, so the tables of another installation in public stay as
// they are. The lock is a row with a lease, since advisory locks of a session are lost and leaked
// behind a connection pooler that works by transactions.
//
// Migrations are applied one by one, each in a transaction with bounds on the wait for locks and
// on each statement. They must be forward compatible: the release before must be able to work with
// the schema of the release after, so columns and tables are added first, and dropped a release
// later. Migrations of a newer release that this one does not know are left alone.
package migrations
