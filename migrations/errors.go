package migrations

import "errors"

var (
	// ErrNothingToRollBack says that no migration is applied.
	ErrNothingToRollBack = errors.New("no migration is applied")
	// ErrUnknownMigration says that the database has a migration applied that this release does
	// not have, so that it cannot roll it back.
	ErrUnknownMigration = errors.New("unknown migration in database")
)
