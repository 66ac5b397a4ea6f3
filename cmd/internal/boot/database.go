package boot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"praefect/coordinator/postgres"
	"praefect/migrations"
)

// databaseTimeout bounds the first contact with the database. There is no second attempt: whoever
// supervises the process starts it again, and an operator sees at once what is wrong.
const databaseTimeout = 30 * time.Second

// errNotMigrated says that the database has not the schema that this program needs.
var errNotMigrated = errors.New("the database is not migrated")

// openDatabase connects to PostgreSQL and checks that it can be used.
func openDatabase(
	ctx context.Context, log *zap.Logger, config postgres.Config,
) (*postgres.Store, error) {
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()

	addresses, err := config.Addresses()
	if err != nil {
		return nil, fmt.Errorf("sql open: %w", err)
	}
	log.Info("establishing database connection",
		zap.String("database_address", strings.Join(addresses, ",")))
	store, err := reachDatabase(ctx, log, config)
	if err != nil {
		log.Error("SQL connection open failed", zap.Error(err))

		return nil, fmt.Errorf("sql open: %w", err)
	}
	if err := checkMigrations(ctx, config); err != nil {
		store.Close()

		return nil, err
	}
	log.Info("database connection established")

	return store, nil
}

func reachDatabase(
	ctx context.Context, log *zap.Logger, config postgres.Config,
) (*postgres.Store, error) {
	store, err := postgres.Open(ctx, log.Named("postgres"), config)
	if err != nil {
		return nil, err
	}
	if err := store.Ping(ctx); err != nil {
		store.Close()

		return nil, err
	}

	return store, nil
}

// checkMigrations fails with errNotMigrated unless all migrations are applied.
func checkMigrations(ctx context.Context, config postgres.Config) (err error) {
	database, err := config.OpenDB()
	if err != nil {
		return fmt.Errorf("sql open: %w", err)
	}
	defer func() { err = errors.Join(err, database.Close()) }()

	migrator, err := migrations.New(database)
	if err != nil {
		return fmt.Errorf("%w: run praefect sql-migrate: %w", errNotMigrated, err)
	}
	pending, err := migrator.Pending(ctx)
	if err != nil {
		return fmt.Errorf("check migrations: %w", err)
	}
	if len(pending) > 0 {
		return fmt.Errorf("%w: %d migrations have not been run: run praefect sql-migrate",
			errNotMigrated, len(pending))
	}

	return nil
}
